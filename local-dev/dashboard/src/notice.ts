// What `account.banned` said. It outlives the session that it ends, for every tab and for a reload, until it was read.
import { signal } from "@preact/signals";
import type { AccountBanned } from "../contract/events.ts";

/** Of a ban that happened while nobody listened, the service says no more than that. */
export type Notice = Pick<AccountBanned, "kind"> & Partial<AccountBanned>;

const KEY = "moien.notice";

export const notice = signal(stored());

addEventListener("storage", ({ key }) => {
  if (key === KEY || key === null) notice.value = stored();
});

export function show(said: Notice): void {
  localStorage.setItem(KEY, JSON.stringify(said));
  notice.value = said;
}

/** It was read. */
export function clear(): void {
  localStorage.removeItem(KEY);
  notice.value = null;
}

function stored(): Notice | null {
  try {
    return JSON.parse(localStorage.getItem(KEY) ?? "null") as Notice | null;
  } catch {
    return null;
  }
}
