// The probe of `live.mjs` passes against local-dev at both entrances, sees what it says it sees, and leaves nothing behind.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { ADMIN, Cloud } from "../harness/cloud.mjs";
import { UNVERIFIED } from "../probe/unverified.mjs";

const here = (path) => new URL(path, import.meta.url).pathname;

/** Its report, line by line, and what it ended with. */
async function probe(cloud, path, more = []) {
  const urls = ["--rest", `${cloud.base}/api/v1`, "--sockets", `${cloud.base}${path}`, "--admin", ADMIN.email];
  const child = spawn(process.execPath, [here("../live.mjs"), ...urls, ...more], {
    env: { ...process.env, ADMIN_PASSWORD: ADMIN.password },
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (text) => (output += text));
  const [code] = await once(child, "close");
  const cells = output.split("\n").filter((line) => line.startsWith("| ")).map((line) => line.slice(2, -2).split("|").map((cell) => cell.trim()));
  const lines = new Map(cells.slice(1).map(([what, assumed, seen, verdict]) => [what, { assumed, seen, verdict }]));
  return { code, output, lines };
}

describe("the probe", () => {
  const cloud = new Cloud({ anonymous: "deny" });
  before(() => cloud.start());
  after(() => cloud.stop());

  for (const path of ["/dev", "/socket.io/"]) {
    test(`${path}: everything is as assumed, and nothing is left behind`, async () => {
      const { code, output, lines } = await probe(cloud, path);
      assert.equal(code, 0, output);
      for (const [what, { verdict }] of lines) assert.notEqual(verdict, "DIFFERS", what);
      assert.match(lines.get("changes of 100 that were heard").seen, /^100, \d+ ms at the median/);
      assert.deepEqual(await cloud.api.must(200, "GET", "/users", { token: await cloud.api.admin() }), []);
      if (path !== "/dev") return;
      for (const { label, line, what } of UNVERIFIED) assert.ok(lines.has(line ?? what), `${label}: ${output}`);
    });
  }

  test("a difference that matters is said and ends it with 1", async () => {
    const { code, lines } = await probe(cloud, "/dev", ["--origin", "https://not-listed.example", "--changes", "1"]);
    assert.equal(code, 1);
    assert.equal(lines.get("preflight of a listed origin: allowed").verdict, "DIFFERS");
    assert.deepEqual(await cloud.api.must(200, "GET", "/users", { token: await cloud.api.admin() }), []);
  });

  test("a stack that lets no socket in is reported, and nothing is left behind", async () => {
    const { code, output } = await probe(cloud, "/dev/nope");
    assert.equal(code, 1, output);
    assert.match(output, /The probe could not go on: .*no open packet/);
    assert.deepEqual(await cloud.api.must(200, "GET", "/users", { token: await cloud.api.admin() }), []);
  });

  test("every line of the README about what is not known is one that it looks at", () => {
    const [, list] = readFileSync(here("../../../local-dev/emulator/README.md"), "utf8").split("Nobody could tell us these");
    const labels = [...list.split("\n## ")[0].matchAll(/^- \*\*(.+?)\*\*:/gm)].map(([, label]) => label);
    assert.deepEqual(labels, UNVERIFIED.map(({ label }) => label));
  });
});
