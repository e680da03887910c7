// Everything that arrived at one client, in order, and a way to wait for what has not arrived yet.
import { within } from "./deadline.mjs";

export class Journal {
  /** All entries since the beginning, taken or not. */
  entries = [];
  #taken = new Set();
  #waiting = new Set();

  add(entry) {
    this.entries.push(entry);
    for (const look of [...this.#waiting]) look();
  }

  /** Takes the first entry that is wanted and was not taken before; waits for it if need be. */
  next(what, wanted, timeout) {
    return this.until(what, () => {
      // By position: two frames may be equal and still are two.
      const at = this.entries.findIndex((entry, position) => !this.#taken.has(position) && wanted(entry));
      if (at < 0) return undefined;
      this.#taken.add(at);
      return this.entries[at];
    }, timeout);
  }

  /** The first result of `find` that is not undefined; asked now and after each new entry. */
  async until(what, find, timeout) {
    let look;
    const found = new Promise((resolve, reject) => {
      look = () => {
        try {
          const result = find();
          if (result !== undefined) resolve(result);
        } catch (error) {
          reject(error);
        }
      };
    });
    this.#waiting.add(look);
    look();
    try {
      return await within(found, () => `${what} never came. ${this.#summary()}`, timeout);
    } finally {
      this.#waiting.delete(look);
    }
  }

  #summary() {
    if (this.entries.length === 0) return "Nothing came at all.";
    const last = this.entries.slice(-10).map((entry) => `  ${JSON.stringify(entry)}`);
    const amounts = {};
    for (const { name } of this.entries) amounts[name] = (amounts[name] ?? 0) + 1;
    return [`This came: ${JSON.stringify(amounts)}, and last of all:`, ...last].join("\n");
  }
}
