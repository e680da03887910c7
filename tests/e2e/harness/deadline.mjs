// A deadline for everything that is waited for: a test that waits for something that never comes says what that was.

/** How long anything may take on a loaded machine before it counts as lost, in milliseconds. */
export const TIMEOUT_MS = 60_000;

/** The promise's outcome, or an error with `explain()` as its message if it does not settle in time. */
export async function within(promise, explain, timeout = TIMEOUT_MS) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${explain()}\n(waited ${timeout} ms)`)), timeout);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
