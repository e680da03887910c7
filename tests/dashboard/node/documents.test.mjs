// The documents of the contract: their own parsers find nothing, and what is checked in is what the program serves.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, describe, test } from "node:test";
import { Parser } from "@asyncapi/parser";
import openapiTypescript, { astToString } from "openapi-typescript";
import { Cloud } from "../../e2e/harness/cloud.mjs";

const CONTRACT = new URL("../../../local-dev/dashboard/contract/", import.meta.url);
const kept = (name) => readFile(new URL(name, CONTRACT), "utf8");

describe("the documents of the contract", () => {
  const cloud = new Cloud();
  before(() => cloud.start());
  after(() => cloud.stop());

  const served = async (name, type) => {
    const answer = await fetch(`${cloud.base}/api/${name}`);
    assert.equal(answer.status, 200);
    assert.match(answer.headers.get("content-type"), type);
    return answer.text();
  };

  test("AsyncAPI's own parser finds nothing in what is served", async () => {
    const { document, diagnostics } = await new Parser().parse(await served("asyncapi.json", /^application\/json/));
    // That there is a later version of AsyncAPI than 3.0 is no finding.
    const findings = diagnostics.filter(({ code }) => code !== "asyncapi-latest-version");
    assert.deepEqual(findings, []);
    const names = document.operations().filterBySend().map((operation) => operation.id());
    assert.deepEqual(names, ["users.created", "users.updated", "users.deleted", "account.banned"]);
    assert.deepEqual(document.servers().all().map((server) => server.pathname()), ["/socket.io/", "/dev", "/{stage}"]);
  });

  test("what is checked in is what is served", async () => {
    assert.equal(await served("events.ts", /^text\/plain/), await kept("events.ts"));
    for (const name of ["asyncapi.json", "openapi.json"]) {
      assert.deepEqual(JSON.parse(await served(name, /^application\/json/)), JSON.parse(await kept(name)), name);
    }
  });

  test("the types of REST that are checked in are those of the document", async () => {
    const types = astToString(await openapiTypescript(JSON.parse(await kept("openapi.json"))));
    const checkedIn = await kept("rest.ts");
    // The command writes a notice above.
    assert.ok(checkedIn.endsWith(types), "rest.ts is out of date; in local-dev/dashboard: npm run rest");
  });

  test("the page for people shows every event and its payload", async () => {
    const page = await served("docs", /^text\/html/);
    for (const { name } of Object.values(JSON.parse(await kept("asyncapi.json")).components.messages)) {
      if (name.includes(".") && !name.endsWith(".acknowledged")) assert.ok(page.includes(`<code>${name}</code>`), name);
    }
    for (const schema of ["AccountBanned", "AuthPayload", "ConnectRefused", "AuthRenew", "AuthRenewAnswer"]) {
      assert.ok(page.includes(`id="schema-${schema}"`) && page.includes(`href="#schema-${schema}"`), schema);
    }
    assert.ok(page.includes("asyncapi.json") && page.includes("events.ts"));
  });
});
