// The table of users and the rules by which it follows the events.
//
// - users.created puts a row on top, and is no second row if there is one already;
// - users.updated replaces the row, and adds it if it is missing;
// - users.deleted removes it.
//
// The list is loaded on every connect, as what happened while a socket was away it never hears. The answer may be older
// than an event that came meanwhile, so a row that an event has touched since the list was asked for stays as it is.
import type { PublicUser, UserDeleted } from "../contract/events.ts";

/** What an event did to a row last; `serial` tells two of them apart. */
export interface Touch {
  kind: "created" | "updated";
  serial: number;
  at: number;
}

/** How many rows are remembered to have been touched: as many as could flash at once. */
const REMEMBERED = 200;

export class Table {
  /** Newest first, as REST lists them. */
  #rows: PublicUser[] = [];
  #byId = new Map<string, PublicUser>();
  #touched = new Map<string, Touch>();
  #serial = 0;
  /** Ids that events have touched since the list was asked for. */
  #since = new Set<string>();
  #changed: () => void;

  /** `changed` is called after every change. */
  constructor(changed: () => void = () => {}) {
    this.#changed = changed;
  }

  get rows(): readonly PublicUser[] {
    return this.#rows;
  }

  get(id: string): PublicUser | undefined {
    return this.#byId.get(id);
  }

  touched(id: string): Touch | undefined {
    return this.#touched.get(id);
  }

  created(user: PublicUser): void {
    this.#event(user, "created");
  }

  updated(user: PublicUser): void {
    this.#event(user, "updated");
  }

  deleted({ id }: UserDeleted): void {
    this.#since.add(id);
    this.#touched.delete(id);
    this.#remove(id);
    this.#changed();
  }

  /** Call it before the list is asked for. A load that was begun before is over with it. */
  load(): Load {
    const since = (this.#since = new Set());
    const listed = new Set<string>();
    const isCurrent = () => since === this.#since;
    return {
      isCurrent,
      page: (users) => {
        if (!isCurrent()) return;
        for (const user of users) {
          listed.add(user.id);
          if (!since.has(user.id)) this.#put(user);
        }
        this.#changed();
      },
      finish: () => {
        if (!isCurrent()) return;
        const kept = (id: string) => listed.has(id) || since.has(id);
        for (const id of [...this.#byId.keys()]) if (!kept(id)) this.#remove(id);
        this.#changed();
      },
    };
  }

  clear(): void {
    this.#rows = [];
    this.#byId.clear();
    this.#touched.clear();
    this.#since = new Set();
    this.#changed();
  }

  #event(user: PublicUser, kind: Touch["kind"]): void {
    this.#since.add(user.id);
    this.#put(user);
    this.#touched.delete(user.id);
    this.#touched.set(user.id, { kind, serial: ++this.#serial, at: Date.now() });
    if (this.#touched.size > REMEMBERED) {
      const [oldest] = this.#touched.keys();
      if (oldest !== undefined) this.#touched.delete(oldest);
    }
    this.#changed();
  }

  #put(user: PublicUser): void {
    const known = this.#byId.get(user.id);
    const place = this.#place(known ?? user);
    this.#byId.set(user.id, user);
    if (known) this.#rows[place] = user;
    else this.#rows.splice(place, 0, user);
  }

  #remove(id: string): void {
    const known = this.#byId.get(id);
    if (!known) return;
    this.#rows.splice(this.#place(known), 1);
    this.#byId.delete(id);
  }

  /** Where a user is, or would be: by the time of registration, which never changes, and by id where that is the same. */
  #place(user: PublicUser): number {
    let [low, high] = [0, this.#rows.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (isBefore(this.#rows[middle]!, user)) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** One reading of the whole list. */
export interface Load {
  /** False once another one was begun. */
  isCurrent(): boolean;
  /** Takes one page of it. */
  page(users: readonly PublicUser[]): void;
  /** Call it after the last page: rows that are not in the list go. */
  finish(): void;
}

function isBefore(one: PublicUser, other: PublicUser): boolean {
  return one.createdAt === other.createdAt ? one.id > other.id : one.createdAt > other.createdAt;
}
