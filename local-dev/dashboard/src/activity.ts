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
const KEPT = 100;
export const MINUTES = 20;

/** What the page asked for and has not heard of is forgotten after this time. */
const PATIENCE = 60_000;

export class Activity {
  readonly entries = signal<readonly Entry[]>([]);
  /** Events of the last minutes, the current one last. */
  readonly minutes = signal<readonly number[]>(new Array<number>(MINUTES).fill(0));
  #serial = 0;
  #minute = minuteOf(Date.now());
  #asked = new Map<string, number>();

  /** A change of this user is about to be asked for. */
  asked(id: string): void {
    const now = performance.now();
    for (const [other, at] of this.#asked) if (now - at > PATIENCE) this.#asked.delete(other);
    this.#asked.set(id, now);
  }

  heard(name: EventName, id: string, who: string): void {
    const asked = this.#asked.get(id);
    this.#asked.delete(id);
    const delay = asked === undefined ? null : performance.now() - asked;
    const entry = { serial: ++this.#serial, name, who, at: Date.now(), delay };
    this.entries.value = [entry, ...this.entries.value.slice(0, KEPT - 1)];
    this.tick();
    const minutes = [...this.minutes.value];
    minutes[MINUTES - 1] = (minutes[MINUTES - 1] ?? 0) + 1;
    this.minutes.value = minutes;
  }

  /** Moves the minutes on. */
  tick(): void {
    const minute = minuteOf(Date.now());
    const passed = Math.min(Math.max(minute - this.#minute, 0), MINUTES);
    this.#minute = minute;
    if (passed > 0) this.minutes.value = [...this.minutes.value.slice(passed), ...new Array<number>(passed).fill(0)];
  }
}

function minuteOf(time: number): number {
  return Math.floor(time / 60_000);
}
