// Namespaces: there is one; the others are refused in words, and the connection outlives that.
import assert from "node:assert/strict";
import { Manager } from "socket.io-client";
import { Listener } from "../harness/listener.mjs";
import { onEveryEdge } from "../harness/stage.mjs";

onEveryEdge("namespaces", {}, (claim) => {
  const manager = ({ cloud, edge, keep }) => {
    const manager = new Manager(cloud.base, edge.options);
    keep({ close: () => manager.reconnection(false).engine.close() });
    return { manager, on: (namespace) => keep(new Listener(manager.socket(namespace))) };
  };

  for (const namespace of ["/nope", "/", "/users/x", "/USERS"]) {
    claim(`${namespace} is refused, and /users on the same connection works on`, async (stage) => {
      const { manager: shared, on } = manager(stage);
      const users = on("/users");
      await users.next("connect");
      const connection = shared.engine;
      const stranger = on(namespace);
      const [error] = await stranger.next("connect_error");
      assert.equal(error.message, "Invalid namespace");
      assert.equal(stranger.socket.active, false);
      const user = await stage.api.register();
      await users.nextAbout(user, "users.created");
      assert.deepEqual(users.life.filter((name) => name !== "users.created"), ["connect"]);
      assert.equal(shared.engine, connection, "it is still the first connection");
    });
  }

  claim("a refused namespace first does not keep /users out", async (stage) => {
    const { on } = manager(stage);
    const [stranger, users] = [on("/nope"), on("/users")];
    await stranger.next("connect_error");
    await users.next("connect");
    const user = await stage.api.register();
    await users.nextAbout(user, "users.created");
  });
});
