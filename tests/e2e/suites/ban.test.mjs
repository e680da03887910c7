// A ban: what the user's own sockets hear, and that it is the end of them.
import assert from "node:assert/strict";
import { assertNotice, assertRefusal } from "../harness/shapes.mjs";
import { onEveryEdge, onOneCloud } from "../harness/stage.mjs";

/** So quick that a socket which means to come back is back before anything else can happen. */
const EAGER = { reconnectionDelay: 1, reconnectionDelayMax: 1 };

onEveryEdge("a ban", {}, (claim) => {
  claim("every socket of the user hears account.banned, then io server disconnect", async ({ api, join }) => {
    const { user, token } = await api.account();
    // One kick in a hundred that ends the connection before its last words are out shows with this many.
    const sockets = await Promise.all(Array.from({ length: 30 }, () => join({ token })));
    const banned = await api.ban(user.id);
    for (const listener of sockets) {
      assert.equal(await listener.gone(), "io server disconnect");
      assert.deepEqual(listener.life, ["connect", "account.banned", "disconnect"]);
      const [[, ...args]] = listener.heard;
      assert.equal(args.length, 1);
      assertNotice(args[0], "banned");
      assert.equal(args[0].at, banned.bannedAt);
      assert.equal(listener.socket.active, false);
    }
  });

  claim("a banned socket does not come back by itself", async ({ api, join }) => {
    const { user, token } = await api.account();
    const banned = await join({ token }, EAGER);
    const other = await join({}, EAGER);
    let attempts = 0;
    banned.socket.io.on("reconnect_attempt", () => (attempts += 1));
    await api.ban(user.id);
    assert.equal(await banned.gone(), "io server disconnect");
    // The other socket loses its connection later and comes back: the banned one had the time to do so as well.
    other.socket.io.engine.close();
    await other.gone();
    await other.next("connect");
    assert.equal(attempts, 0);
    assert.deepEqual(banned.life, ["connect", "account.banned", "disconnect"]);
  });

  claim("a banned user is refused in words, with the old socket and with a new one", async ({ api, join, open }) => {
    const { user, token } = await api.account();
    const old = await join({ token });
    await api.ban(user.id);
    await old.gone();
    old.socket.connect();
    for (const listener of [old, open({ token })]) {
      const [error] = await listener.next("connect_error");
      assert.deepEqual(error, { message: "ACCOUNT_BANNED", status: undefined });
      assert.equal(listener.socket.active, false);
    }
  });

  claim("an unban lets the user in again, and a second ban is heard again", async ({ api, join }) => {
    const account = await api.account();
    const { user, token } = account;
    await api.ban(user.id);
    await api.unban(user.id);
    assert.equal((await api.login(account)).status, 200);
    await api.must(200, "PATCH", `/users/${user.id}`, { token, body: { fullName: "Sara Rad Ahmadi" } });
    const listener = await join({ token });
    const { bannedAt } = await api.ban(user.id);
    const [notice] = await listener.next("account.banned");
    assert.equal(notice.at, bannedAt);
    await listener.gone();
  });

  claim("a ban leaves the sockets of others alone", async ({ api, join }) => {
    const victim = await api.account();
    const bystander = await api.account();
    const thrown = await join({ token: victim.token });
    const untouched = await join({ token: bystander.token });
    await api.ban(victim.user.id);
    await thrown.gone();
    // The bystander's own ban must be the first thing heard there.
    await api.ban(bystander.user.id);
    await untouched.gone();
    assert.deepEqual(untouched.life, ["connect", "account.banned", "disconnect"]);
  });
});

onOneCloud("a banned user", {}, (claim) => {
  claim("can neither log in, look nor change anything", async ({ api }) => {
    const account = await api.account();
    const { user, token } = account;
    const self = `/users/${user.id}`;
    await api.ban(user.id);
    assertRefusal(await api.login(account), 403, "ACCOUNT_BANNED");
    assertRefusal(await api.call("GET", "/auth/me", { token }), 403, "ACCOUNT_BANNED");
    assertRefusal(await api.call("GET", self, { token }), 403, "ACCOUNT_BANNED");
    const rename = { token, body: { fullName: "Somebody Else Entirely" } };
    assertRefusal(await api.call("PATCH", self, rename), 403, "ACCOUNT_BANNED");
    const wrong = { email: account.email, password: "not the password" };
    assertRefusal(await api.login(wrong), 401, "WRONG_CREDENTIALS");
  });
});
