// What was assumed and what was seen, line by line.

/** One line. `matters`: whether the product is wrong, or its users are, where it differs. */
export class Report {
  #lines = [];

  add(what, assumed, seen, { ok = assumed === seen, matters = true } = {}) {
    this.#lines.push({ what, assumed: `${assumed}`, seen: `${seen}`, verdict: ok ? "as assumed" : matters ? "DIFFERS" : "differs, harmless" });
  }

  /** Something that this run could not look at, and where it shows instead. */
  unseen(what, assumed, where) {
    this.#lines.push({ what, assumed: `${assumed}`, seen: where, verdict: "not seen" });
  }

  get differs() {
    return this.#lines.some(({ verdict }) => verdict === "DIFFERS");
  }

  toString() {
    const columns = ["what", "assumed", "seen", "verdict"];
    const rows = [Object.fromEntries(columns.map((name) => [name, name])), ...this.#lines];
    const widths = columns.map((name) => Math.max(...rows.map((row) => row[name].length)));
    const line = (row) => `| ${columns.map((name, at) => row[name].padEnd(widths[at])).join(" | ")} |`;
    const rule = `|${widths.map((width) => "-".repeat(width + 2)).join("|")}|`;
    return [line(rows[0]), rule, ...this.#lines.map(line)].join("\n");
  }
}
