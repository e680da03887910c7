// What only the gateway does: ending connections, refusing large frames, handing over messages side by side. The client
// must come back from all of it by itself.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Cloud } from "../harness/cloud.mjs";
import { GATEWAY } from "../harness/edges.mjs";
import { Listener } from "../harness/listener.mjs";
import { onEveryEdge } from "../harness/stage.mjs";

const SOON = { reconnectionDelay: 1, reconnectionDelayMax: 20 };

async function withCloud(options, body) {
  const cloud = new Cloud(options);
  const opened = [];
  try {
    await cloud.start();
    await body(cloud, (auth, extra) => {
      const listener = Listener.open(cloud, GATEWAY, auth, { ...SOON, ...extra });
      opened.push(listener);
      return listener;
    });
  } finally {
    for (const listener of opened) listener.close();
    await cloud.stop();
  }
}

/** An `auth` function that gives every CONNECT a token of its own, and keeps them. */
function freshTokens(api, account) {
  const given = [];
  const auth = (give) => {
    api.login(account).then(({ body }) => {
      given.push(body.tokens.accessToken);
      give({ token: body.tokens.accessToken });
    });
  };
  return { auth, given };
}

describe(`${GATEWAY.name}: endings`, () => {
  for (const [cause, extra] of [["idleness", ["--idle-timeout", "5s"]], ["old age", ["--lifetime", "5s"]]]) {
    test(`after an end by ${cause} the client is back with a fresh token`, () =>
      withCloud({ extra }, async (cloud, open) => {
        const account = await cloud.api.account();
        const { auth, given } = freshTokens(cloud.api, account);
        const own = open(auth);
        await own.next("connect");
        const [reason] = await own.next("disconnect");
        assert.equal(reason, "transport close");
        await own.next("connect");
        assert.ok(given.length >= 2);
      }));
  }

  test("after a cut network the client is back and hears each event once", () =>
    withCloud({}, async (cloud, open) => {
      const feed = open({});
      await feed.next("connect");
      // Without a close frame, as when a cable is pulled.
      feed.socket.io.engine.transport.ws._socket.destroy();
      await feed.next("disconnect");
      await feed.next("connect");
      const user = await cloud.api.register();
      assert.deepEqual(await feed.nextAbout(user, "users.created"), [user]);
      await cloud.api.remove(user.id);
      await feed.nextAbout(user, "users.deleted");
      assert.equal(feed.about(user).length, 2);
    }));

  test("an emit of 40 KB ends the connection with 1009, and the client recovers", () =>
    withCloud({}, async (cloud, open) => {
      const feed = open({});
      await feed.next("connect");
      const closed = new Promise((resolve) => feed.socket.io.engine.transport.ws.on("close", resolve));
      feed.socket.volatile.emit("large", "x".repeat(40 * 1024));
      assert.equal(await closed, 1009);
      await feed.next("disconnect");
      await feed.next("connect");
      const user = await cloud.api.register();
      assert.deepEqual(await feed.nextAbout(user, "users.created"), [user]);
    }));

  test("a user who was banned while away is refused on the way back", () =>
    withCloud({}, async (cloud, open) => {
      const { user, token } = await cloud.api.account();
      const own = open({ token });
      await own.next("connect");
      // It comes back when it is told to, which is after the ban.
      own.socket.io.reconnection(false);
      own.socket.io.engine.close();
      await own.next("disconnect");
      await cloud.api.ban(user.id);
      own.socket.connect();
      const [error] = await own.next("connect_error");
      assert.equal(error.message, "ACCOUNT_BANNED");
      assert.equal(own.socket.active, false);
    }));
});

onEveryEdge(
  "binary and acknowledgements at the gateway",
  {},
  (claim) => {
    claim("binary travels as text with forceBase64, and nobody minds", async ({ api, join }) => {
      const feed = await join({}, { forceBase64: true });
      feed.socket.emit("photo", Buffer.from([1, 2, 3]), { nested: Buffer.alloc(100) });
      const user = await api.register();
      assert.deepEqual(await feed.nextAbout(user, "users.created"), [user]);
      assert.deepEqual(feed.life, ["connect", "users.created"]);
    });

    claim("binary frames are what a gateway cannot carry: 1003, and the client comes back", async ({ api, join }) => {
      const feed = await join({}, SOON);
      feed.socket.volatile.emit("photo", Buffer.from([1, 2, 3]));
      await feed.next("disconnect");
      await feed.next("connect");
      const user = await api.register();
      assert.deepEqual(await feed.nextAbout(user, "users.created"), [user]);
    });
  },
  [GATEWAY],
);
