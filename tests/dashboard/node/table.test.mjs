// The rules of the table, without a browser: the module as it is, its types taken away.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import ts from "typescript";

const source = await readFile(new URL("../../../local-dev/dashboard/src/table.ts", import.meta.url), "utf8");
const options = { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext, verbatimModuleSyntax: true };
const { outputText } = ts.transpileModule(source, { compilerOptions: options });
const { Table } = await import(`data:text/javascript,${encodeURIComponent(outputText)}`);

/** A user of that time; the rest of a user is nothing to the rules. */
const user = (id, fullName = id, time = id) => ({ id, fullName, createdAt: `2025-02-09T18:23:27.${time}Z` });
const seen = (table) => table.rows.map(({ id, fullName }) => (id === fullName ? id : `${id} ${fullName}`));

function loaded(...users) {
  const table = new Table();
  const load = table.load();
  load.page(users);
  load.finish();
  return table;
}

test("users.created puts a row on top", () => {
  const table = loaded(user("002"), user("001"));
  table.created(user("003"));
  assert.deepEqual(seen(table), ["003", "002", "001"]);
});

test("users.created makes no second row of one that is there", () => {
  const table = loaded(user("002"), user("001"));
  table.created(user("002", "again"));
  table.created(user("001", "as well"));
  assert.deepEqual(seen(table), ["002 again", "001 as well"]);
});

test("users.updated replaces the row where it is", () => {
  const table = loaded(user("003"), user("002"), user("001"));
  table.updated(user("002", "changed"));
  assert.deepEqual(seen(table), ["003", "002 changed", "001"]);
});

test("users.updated adds a row that is missing, where the list would have it", () => {
  const table = loaded(user("003"), user("001"));
  table.updated(user("002"));
  assert.deepEqual(seen(table), ["003", "002", "001"]);
});

test("users.deleted removes the row, and one that is not there is no harm", () => {
  const table = loaded(user("002"), user("001"));
  table.deleted({ id: "002" });
  table.deleted({ id: "002" });
  table.deleted({ id: "009" });
  assert.deepEqual(seen(table), ["001"]);
});

test("of one moment the order is that of REST, by id", () => {
  const table = loaded(user("b", "b", "001"), user("a", "a", "001"));
  table.created(user("c", "c", "001"));
  table.updated(user("a", "changed", "001"));
  assert.deepEqual(seen(table), ["c", "b", "a changed"]);
});

test("an answer that is older than an event overwrites nothing", () => {
  const table = loaded(user("004"), user("003"), user("002"), user("001"));
  const load = table.load();
  table.updated(user("004", "renamed"));
  table.deleted({ id: "003" });
  table.created(user("005"));
  load.page([user("004"), user("003")]);
  load.page([user("002"), user("001", "loaded")]);
  load.finish();
  assert.deepEqual(seen(table), ["005", "004 renamed", "002", "001 loaded"]);
});

test("what went while the socket was away goes with the list", () => {
  const table = loaded(user("002"), user("001"));
  const load = table.load();
  load.page([user("001")]);
  assert.deepEqual(seen(table), ["002", "001"], "until the list is complete, nobody knows");
  load.finish();
  assert.deepEqual(seen(table), ["001"]);
});

test("an event of before the list was asked for does not keep a row", () => {
  const table = loaded();
  table.created(user("001"));
  const load = table.load();
  load.finish();
  assert.deepEqual(seen(table), []);
});

test("a load that another one has overtaken says nothing any more", () => {
  const table = loaded();
  const first = table.load();
  const second = table.load();
  second.page([user("002", "new")]);
  first.page([user("002"), user("001")]);
  first.finish();
  assert.deepEqual([seen(table), first.isCurrent(), second.isCurrent()], [["002 new"], false, true]);
});

test("ten thousand rows and as many events keep their order", () => {
  const names = Array.from({ length: 10_000 }, (_, n) => String(n).padStart(5, "0"));
  const table = loaded(...names.map((name) => user(name)).reverse());
  for (const name of names) table.updated(user(name, `${name}!`, name));
  assert.deepEqual(table.rows.map(({ id }) => id), names.reverse());
});
