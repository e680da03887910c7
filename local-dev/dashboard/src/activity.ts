// What is going on: the last events with their delay from click to frame, and how many there were in each minute.
import { signal } from "@preact/signals";
import type { ServerToClientEvents } from "../contract/events.ts";

export type EventName = keyof ServerToClientEvents;

export interface Entry {
  serial: number;
  name: EventName;
  who: string;
  at: number;
  /** Milliseconds since this page asked for the change; null if somebody else did. */
  delay: number | null;
}

/** Entries that are kept, and minutes. */
const KEPT = 50;
export const MINUTES = 20;

/** A change that comes later than this after the click may be anybody's. */
const TIMEOUT_MS = 10_000;

export class Activity {
  /** The newest first. */
  readonly entries = signal<readonly Entry[]>([]);
  /** Events of the last minutes, the current one last. */
  readonly minutes = signal<readonly number[]>(new Array<number>(MINUTES).fill(0));
  #entries: Entry[] = [];
  #minutes = [...this.minutes.value];
  #serial = 0;
  #minute = minuteOf(Date.now());
  #asked = new Map<string, number>();
  #frame = 0;

  /** A change of this user is about to be asked for. */
  asked(id: string): void {
    this.#asked.set(id, performance.now());
  }

  /** It was not done. */
  refused(id: string): void {
    this.#asked.delete(id);
  }

  heard(name: EventName, id: string, who: string): void {
    const asked = this.#asked.get(id);
    this.#asked.delete(id);
    const passed = asked === undefined ? Infinity : performance.now() - asked;
    const delay = passed > TIMEOUT_MS ? null : passed;
    this.#entries.unshift({ serial: ++this.#serial, name, who, at: Date.now(), delay });
    this.#entries.length = Math.min(this.#entries.length, KEPT);
    this.tick();
    this.#minutes[MINUTES - 1] = (this.#minutes[MINUTES - 1] ?? 0) + 1;
    // At most once a frame, however many there are.
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      this.entries.value = [...this.#entries];
      this.minutes.value = [...this.#minutes];
    });
  }

  /** Moves the minutes on. */
  tick(): void {
    const minute = minuteOf(Date.now());
    const passed = Math.min(Math.max(minute - this.#minute, 0), MINUTES);
    this.#minute = minute;
    if (passed === 0) return;
    this.#minutes = [...this.#minutes.slice(passed), ...new Array<number>(passed).fill(0)];
    this.minutes.value = [...this.#minutes];
  }
}

function minuteOf(time: number): number {
  return Math.floor(time / 60_000);
}
