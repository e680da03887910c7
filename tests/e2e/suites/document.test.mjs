// The validator of all other suites: it knows every answer as it is, and none that differs from the document.
import assert from "node:assert/strict";
import { Document } from "../harness/document.mjs";
import { form } from "../harness/api.mjs";
import { onOneCloud } from "../harness/stage.mjs";

const PATH = "/api/v1/users/register";

onOneCloud("answers and the document", {}, (claim) => {
  claim("what differs in anything from the document is not one of its answers", async ({ api }) => {
    const document = await Document.of(api.base);
    const answer = await api.call("POST", "/users/register", { body: form() });
    const knows = (changes, [method, path] = ["POST", PATH]) => document.mustKnow(method, path, { ...answer, ...changes });
    knows({});
    const user = (changes) => ({ body: { ...answer.body, user: { ...answer.body.user, ...changes } } });
    const headers = (name, value) => {
      const changed = new Headers(answer.headers);
      if (value === undefined) changed.delete(name);
      else changed.set(name, value);
      return { headers: changed };
    };
    const { user: _, ...nobody } = answer.body;
    const differences = {
      "a key more": { body: { ...answer.body, hash: "x" } },
      "a key more inside": user({ passwordHash: "x" }),
      "a key less": { body: nobody },
      "a key less inside": user({ bannedAt: undefined }),
      "another type": user({ isBanned: "no" }),
      "no UUID": user({ id: "5" }),
      "no e-mail address": user({ email: "sara" }),
      "no time": user({ createdAt: "yesterday" }),
      "a time without milliseconds": user({ createdAt: "2026-11-26T19:00:00Z" }),
      "no photo": user({ photoUrl: "http://cdn.example.com/a.png" }),
      "no object": { body: "ok" },
      "another status": { status: 202 },
      "another content type": headers("content-type", "text/plain"),
      "no content type": headers("content-type"),
      "no request id": headers("x-request-id"),
      "a header that has no place here": headers("link", "</>; rel=next"),
    };
    for (const [what, changes] of Object.entries(differences)) assert.throws(() => knows(changes), { code: "ERR_ASSERTION" }, what);
    for (const place of [["GET", PATH], ["POST", "/api/v1/nowhere"], ["POST", `${PATH}/more`]]) {
      assert.throws(() => knows({}, place), { code: "ERR_ASSERTION" }, place.join(" "));
    }
  });

  claim("no pattern takes long over a text that it does not match", async ({ api }) => {
    const answer = await fetch(api.base.replace(/\/v1$/, "/openapi.json"));
    const patterns = new Set();
    JSON.stringify(await answer.json(), (key, value) => {
      if (key === "pattern") patterns.add(value);
      return value;
    });
    assert.ok(patterns.size > 5);
    const texts = [`${"a ".repeat(89)}\u00ad`, `${"1 ".repeat(90)}`.trim(), `${" a".repeat(90)}\n`, `https://${"a-".repeat(1000)}^`];
    for (const pattern of patterns) {
      for (const text of texts) {
        const begin = performance.now();
        new RegExp(pattern, "u").test(text);
        const took = performance.now() - begin;
        assert.ok(took < 500, `not in time: ${took} ms for ${JSON.stringify(text.slice(0, 20))}… and ${pattern}`);
      }
    }
  });

  claim("a refusal without a route has the one shape", async ({ api }) => {
    const document = await Document.of(api.base);
    const { status, headers, body } = await api.call("GET", "/nowhere");
    const refused = (changes) => document.mustKnow("GET", "/api/v1/nowhere", { status, headers, body: { ...body, ...changes } });
    refused({});
    for (const changes of [{ hint: "x" }, { statusCode: "404" }, { message: undefined }]) {
      assert.throws(() => refused(changes), { code: "ERR_ASSERTION" });
    }
  });
});
