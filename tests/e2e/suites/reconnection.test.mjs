// Coming and going: by the app's own will, after a lost connection, and across a restart of the service.
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join as path } from "node:path";
import { test } from "node:test";
import { Cloud } from "../harness/cloud.mjs";
import { EDGES } from "../harness/edges.mjs";
import { Listener } from "../harness/listener.mjs";
import { onEveryEdge } from "../harness/stage.mjs";

onEveryEdge("coming and going", {}, (claim) => {
  claim("disconnect() and connect() give a new id and the feed again", async ({ api, join }) => {
    const feed = await join();
    const { id } = feed.socket;
    feed.socket.disconnect();
    assert.equal(await feed.gone(), "io client disconnect");
    const missed = await api.register();
    feed.socket.connect();
    await feed.next("connect");
    assert.ok(feed.socket.id);
    assert.notEqual(feed.socket.id, id);
    await api.remove(missed.id);
    await feed.nextAbout(missed, "users.deleted");
    const user = await api.register();
    assert.deepEqual(await feed.nextAbout(user, "users.created"), [user]);
    assert.equal(feed.about(user).length, 1);
  });

  claim("a lost connection is made again by the client, and hears each event once", async ({ api, join }) => {
    const feed = await join({}, { reconnectionDelay: 1, reconnectionDelayMax: 10 });
    for (let round = 0; round < 3; round += 1) {
      feed.socket.io.engine.close();
      await feed.gone();
      await feed.next("connect");
    }
    const user = await api.register();
    await api.remove(user.id);
    await feed.nextAbout(user, "users.deleted");
    assert.deepEqual(feed.about(user).map(([name]) => name), ["users.created", "users.deleted"]);
  });

  claim("the user's own room is there again after a reconnection", async ({ api, join }) => {
    const { user, token } = await api.account();
    const own = await join({ token }, { reconnectionDelay: 1, reconnectionDelayMax: 10 });
    own.socket.io.engine.close();
    await own.gone();
    await own.next("connect");
    await api.ban(user.id);
    await own.next("account.banned");
    assert.equal(await own.gone(), "io server disconnect");
  });
});

for (const edge of EDGES) {
  test(`${edge.name}: clients come back by themselves after a restart, and the users are still there`, async () => {
    const dataDir = await mkdtemp(path(tmpdir(), "e2e-"));
    const cloud = new Cloud({ dataDir });
    const opened = [];
    try {
      await cloud.start();
      const account = await cloud.api.account();
      const options = { reconnectionDelay: 1, reconnectionDelayMax: 50 };
      const feed = Listener.open(cloud, edge, {}, options);
      const own = Listener.open(cloud, edge, { token: account.token }, options);
      opened.push(feed, own);
      for (const listener of opened) await listener.next("connect");
      await cloud.stop();
      for (const listener of opened) {
        const reason = await listener.gone();
        assert.ok(["transport close", "transport error"].includes(reason), reason);
        assert.equal(listener.socket.active, true);
      }
      await cloud.start();
      for (const listener of opened) await listener.next("connect");
      assert.equal((await cloud.api.login(account)).status, 200);
      const renamed = await cloud.api.patch(account.user.id, { fullName: "Sara Rad Ahmadi" });
      assert.deepEqual(renamed, { ...account.user, fullName: "Sara Rad Ahmadi" });
      assert.deepEqual(await feed.nextAbout(renamed, "users.updated"), [renamed]);
      await cloud.api.ban(renamed.id);
      await own.next("account.banned");
    } finally {
      for (const listener of opened) listener.close();
      await cloud.stop();
      await rm(dataDir, { recursive: true });
    }
  });
}
