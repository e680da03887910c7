// The exact bytes on the wire, where clients other than the JavaScript one depend on them.
import assert from "node:assert/strict";
import { GATEWAY, WEB_SOCKET_EDGES } from "../harness/edges.mjs";
import { assertKeys } from "../harness/shapes.mjs";
import { onEveryEdge } from "../harness/stage.mjs";

onEveryEdge("the wire", {}, (claim) => {
  claim("the open packet comes first and has exactly the five keys", async ({ wire }) => {
    const client = wire();
    const open = JSON.parse((await client.opened()).slice(1));
    assert.equal(client.frames[0][0], "0");
    assertKeys(open, ["sid", "upgrades", "pingInterval", "pingTimeout", "maxPayload"]);
    assert.deepEqual(open.upgrades, []);
  });

  claim("a CONNECT is answered with an id, with or without comma and payload", async ({ wire }) => {
    for (const connect of ["40/users", "40/users,", "40/users,{}", '40/users,{"token":null}']) {
      const client = wire();
      await client.opened();
      client.send(connect);
      const { sid, ...rest } = JSON.parse((await client.next("40/users,")).slice("40/users,".length));
      assert.deepEqual(rest, {});
      assert.ok(typeof sid === "string" && sid.length > 0);
    }
  });

  claim("a refusal is a CONNECT_ERROR with nothing but a message, and the connection stays", async ({ wire }) => {
    const client = wire();
    await client.opened();
    const refusals = [
      ["40", '44{"message":"Invalid namespace"}'],
      ["40/nope,", '44/nope,{"message":"Invalid namespace"}'],
      ["40/users?a=b,", '44/users?a=b,{"message":"Invalid namespace"}'],
      ['40/users,{"token":"garbage"}', '44/users,{"message":"UNAUTHENTICATED"}'],
      ['40/users,{"token":5}', '44/users,{"message":"UNAUTHENTICATED"}'],
    ];
    for (const [connect, refusal] of refusals) {
      client.send(connect);
      assert.equal(await client.next("44"), refusal);
    }
    client.send("40/users,");
    await client.next("40/users,");
  });

  claim("leaving /users and joining it again works on one connection", async ({ api, wire, edge }) => {
    const client = wire();
    const first = await client.join();
    client.send("41/users,");
    client.send("40/users,");
    const second = await client.next("40/users,");
    // socketioxide calls a socket by the id of its connection, Node by one of its own.
    if (edge === GATEWAY) assert.notEqual(second, first);
    const user = await api.register();
    assert.deepEqual(await client.event("users.created"), [user]);
    assert.equal(client.frames.filter((frame) => frame.includes(user.id)).length, 1);
  });

  claim("a kick is account.banned, then 41, then the end of the connection", async ({ api, wire }) => {
    const { user, token } = await api.account();
    const client = wire();
    await client.join({ token });
    await api.ban(user.id);
    await client.closed();
    const [open, connected, notice, ...rest] = client.frames;
    assert.match(open, /^0\{/);
    assert.match(connected, /^40\/users,/);
    assert.match(notice, /^42\/users,\["account.banned",\{[^{}]+\}\]$/);
    assert.deepEqual(rest, ["41/users,", "(closed)"]);
  });
}, WEB_SOCKET_EDGES);
