// What clients emit: the service has no events from clients, so nothing happens, and nothing breaks.
import assert from "node:assert/strict";
import { GATEWAY } from "../harness/edges.mjs";
import { onEveryEdge } from "../harness/stage.mjs";

onEveryEdge("what clients emit", {}, (claim) => {
  /** Neither socket has heard anything but this user's registration, and neither was disconnected. */
  async function assertUnharmed(api, sockets) {
    const user = await api.register();
    for (const listener of sockets) {
      await listener.nextAbout(user, "users.created");
      assert.deepEqual(listener.life.filter((name) => name !== "users.created"), ["connect"]);
      assert.equal(listener.socket.connected, true);
    }
  }

  claim("unknown events do no harm, whatever they carry", async ({ api, join }) => {
    const [noisy, quiet] = [await join(), await join()];
    const { socket } = noisy;
    socket.emit("hello");
    socket.emit("hello", 1, "two", [3], { four: 4 }, null, true);
    socket.emit("", "");
    socket.emit("a name, with [punctuation]", "🦀", "\n\"quoted\"");
    socket.emit("large", "x".repeat(30_000));
    socket.volatile.emit("volatile");
    await assertUnharmed(api, [noisy, quiet]);
  });

  claim("the events of the service cannot be sent by clients", async ({ api, join }) => {
    const [forger, victim] = [await join(), await join()];
    const { user, token } = await api.account();
    const own = await join({ token });
    forger.socket.emit("users.deleted", { id: user.id });
    forger.socket.emit("account.banned", { kind: "banned" });
    await api.remove(user.id);
    await victim.nextAbout(user, "users.deleted");
    await own.next("account.banned");
    assert.equal(victim.about(user).filter(([name]) => name === "users.deleted").length, 1);
    assert.deepEqual(own.life.slice(0, 2), ["connect", "account.banned"]);
  });

  claim("an acknowledgement never comes, and the timeout says so", async ({ api, join }) => {
    const noisy = await join();
    for (const name of ["hello", "users.created"]) {
      await assert.rejects(noisy.socket.timeout(200).emitWithAck(name, { any: "thing" }), /timed out/);
    }
    await assertUnharmed(api, [noisy]);
  });

  claim("binary events do no harm", async ({ api, join, edge }) => {
    // A gateway carries text only; the client has an option for that.
    const [noisy, quiet] = [await join({}, { forceBase64: edge === GATEWAY }), await join()];
    noisy.socket.emit("upload", Buffer.from([0, 1, 2, 255]), { nested: Buffer.alloc(1_000) });
    await assertUnharmed(api, [noisy, quiet]);
  });

  claim("what is emitted before the connection is open does no harm", async ({ api, open }) => {
    const early = open();
    early.socket.emit("early", 1);
    await early.next("connect");
    await assertUnharmed(api, [early]);
  });
});
