// The administrator's table, kept up to date: loaded on connect, unless all that was missed came as events, then following
// these.
import { signal } from "@preact/signals";
import type { PublicUser } from "../contract/events.ts";
import { Activity, type EventName } from "./activity.ts";
import { passes, Refused, unwrap, type Answer } from "./answers.ts";
import type { Entrance } from "./config.ts";
import { Connection } from "./connection.ts";
import { Rest } from "./rest.ts";
import type { Session } from "./session.ts";
import { Table } from "./table.ts";

export type Loading = { kind: "loading" } | { kind: "loaded" } | { kind: "failed"; error: unknown };

/** How long a load that failed waits for the next one. */
const AGAIN = 3_000;

export class Feed {
  /** Goes up with every change of the table, at most once a frame. */
  readonly version = signal(0);
  readonly loading = signal<Loading>({ kind: "loading" });
  readonly activity = new Activity();
  readonly table = new Table(() => this.#changed());
  readonly rest: Rest;
  readonly connection: Connection;
  #frame = 0;
  #abort = new AbortController();
  #again: ReturnType<typeof setTimeout> | undefined;

  constructor(session: Session, entrance: Entrance) {
    this.rest = new Rest(session);
    this.connection = new Connection(session, entrance, (socket) => {
      // What was missed is here already, but only for a table that was complete before.
      socket.on("connect", () => {
        if (!socket.recovered || this.loading.value.kind !== "loaded") void this.load();
      });
      // Where no socket gets through the list may, and if not, the page says why.
      const first = () => void this.load();
      socket.once("connect_error", first);
      socket.once("connect", () => socket.off("connect_error", first));
      socket.on("users.created", (user) => this.#follow("users.created", user, () => this.table.created(user)));
      socket.on("users.updated", (user) => this.#follow("users.updated", user, () => this.table.updated(user)));
      socket.on("users.deleted", (gone) => {
        const user = this.table.get(gone.id);
        this.#follow("users.deleted", { fullName: gone.id, ...user, ...gone }, () => this.table.deleted(gone));
      });
    });
  }

  /** Reads the whole list, and merges it with what events say meanwhile. */
  async load(): Promise<void> {
    clearTimeout(this.#again);
    this.#abort.abort();
    const { signal } = (this.#abort = new AbortController());
    const load = this.table.load();
    this.loading.value = { kind: "loading" };
    try {
      for await (const page of this.rest.users(signal)) load.page(page);
      load.finish();
      if (load.isCurrent()) this.loading.value = { kind: "loaded" };
    } catch (error) {
      if (signal.aborted) return;
      this.loading.value = { kind: "failed", error };
      const pause = error instanceof Refused && error.retryAfter ? error.retryAfter * 1000 : AGAIN;
      if (passes(error)) this.#again = setTimeout(() => void this.load(), pause);
    }
  }

  /** Asks for a change of a user; the timeline says how long after that its event came. */
  async change<T>(id: string, ask: () => Promise<Answer<T>>): Promise<NonNullable<T>> {
    this.activity.asked(id);
    try {
      return await unwrap(ask());
    } catch (error) {
      this.activity.refused(id);
      throw error;
    }
  }

  close(): void {
    clearTimeout(this.#again);
    this.#abort.abort();
    this.connection.close();
    cancelAnimationFrame(this.#frame);
  }

  #follow(name: EventName, { id, fullName }: Pick<PublicUser, "id" | "fullName">, apply: () => void): void {
    this.activity.heard(name, id, fullName);
    apply();
  }

  #changed(): void {
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      this.version.value++;
    });
  }
}
