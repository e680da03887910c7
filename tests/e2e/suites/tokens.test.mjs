// Tokens in the CONNECT packet, where a socket without one is refused: who gets in, and how the others are told.
import assert from "node:assert/strict";
import { onEveryEdge } from "../harness/stage.mjs";
import { forge, worthless } from "../harness/tokens.mjs";

const ADMIN = { role: "admin" };

/** Refused by CONNECT_ERROR: after the transport has opened, so not by an HTTP status; and for good. */
async function assertRefused(listener, message) {
  let opened = false;
  listener.socket.io.on("open", () => (opened = true));
  const { name, args } = await listener.outcome();
  assert.equal(name, "connect_error");
  assert.deepEqual(args, [{ message, status: undefined }]);
  assert.equal(opened, true);
  assert.equal(listener.socket.active, false);
}

onEveryEdge("tokens, where anonymous sockets are refused", { anonymous: "deny" }, (claim) => {
  claim("no token is refused, however it is missing", async ({ open }) => {
    for (const auth of [undefined, {}, { token: null }, { token: undefined }, { other: "x" }]) {
      await assertRefused(open(auth), "UNAUTHENTICATED");
    }
  });

  claim("the administrator's token joins the feed", async ({ api, join }) => {
    const feed = await join({ token: await api.admin() });
    const user = await api.register();
    assert.deepEqual(await feed.nextAbout(user, "users.created"), [user]);
  });

  claim("a token that is right in everything is accepted, whoever wrote it", async ({ api, join }) => {
    const feed = await join({ token: forge("admin", ADMIN) });
    const user = await api.register();
    await feed.nextAbout(user, "users.created");
    const owner = await join({ token: forge(user.id) });
    await api.ban(user.id);
    await owner.next("account.banned");
  });

  claim("auth as a function is asked at every CONNECT", async ({ api, join }) => {
    const token = await api.admin();
    let asked = 0;
    const feed = await join((answer) => answer({ token, time: (asked += 1) }));
    feed.socket.disconnect().connect();
    await feed.next("connect");
    assert.equal(asked, 2);
  });

  for (const [what, token] of Object.entries(worthless("admin", ADMIN))) {
    claim(`${what} is refused`, ({ open }) => assertRefused(open({ token }), "UNAUTHENTICATED"));
  }

  claim("the token of a user who never was is refused", async ({ open }) => {
    await assertRefused(open({ token: forge("8f14e45f-ceea-4672-a8f5-2d9f4bd0a3c1") }), "UNAUTHENTICATED");
    await assertRefused(open({ token: forge("no uuid at all") }), "UNAUTHENTICATED");
  });

  claim("a banned user's token is refused as such", async ({ api, open }) => {
    const { user, token } = await api.account();
    await api.ban(user.id);
    await assertRefused(open({ token }), "ACCOUNT_BANNED");
  });

  claim("a refused socket gets in with a better token", async ({ api, open }) => {
    const listener = open({ token: "garbage" });
    await assertRefused(listener, "UNAUTHENTICATED");
    listener.socket.auth = { token: await api.admin() };
    listener.socket.connect();
    await listener.next("connect");
    const user = await api.register();
    await listener.nextAbout(user, "users.created");
  });
});

onEveryEdge("tokens, where anonymous sockets are welcome", {}, (claim) => {
  claim("a worthless token does not make a socket anonymous", async ({ open }) => {
    for (const token of Object.values(worthless("admin", ADMIN))) {
      await assertRefused(open({ token }), "UNAUTHENTICATED");
    }
  });

  claim("no token and a null token join the feed", async ({ api, join }) => {
    const feeds = [await join(), await join({}), await join({ token: null })];
    const user = await api.register();
    for (const feed of feeds) assert.deepEqual(await feed.nextAbout(user, "users.created"), [user]);
  });

  claim("the administrator's token joins the feed once, not twice", async ({ api, join }) => {
    const feed = await join({ token: await api.admin() });
    const user = await api.register();
    await api.remove(user.id);
    await feed.nextAbout(user, "users.deleted");
    assert.deepEqual(feed.about(user).map(([name]) => name), ["users.created", "users.deleted"]);
  });
});
