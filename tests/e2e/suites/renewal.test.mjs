// `auth.renew`: a socket that outlives its first token, as the official client asks for it.
import assert from "node:assert/strict";
import { onEveryEdge } from "../harness/stage.mjs";
import { forge } from "../harness/tokens.mjs";

const ADMIN = { role: "admin" };

/** Seconds since the epoch, so many from now. */
const inSeconds = (seconds) => Math.floor(Date.now() / 1000) + seconds;

onEveryEdge("renewal", { anonymous: "deny" }, (claim) => {
  claim("a socket that renews outlives its first token and misses nothing", async ({ api, join }) => {
    const [first, second] = [inSeconds(4), inSeconds(600)];
    const feed = await join({ token: forge("admin", { ...ADMIN, exp: first }) });
    const outcome = await feed.socket.emitWithAck("auth.renew", { token: forge("admin", { ...ADMIN, exp: second }) });
    assert.deepEqual(outcome, { ok: true, expiresAt: new Date(second * 1000).toISOString() });
    const users = [];
    while (Date.now() < (first + 2) * 1000) {
      const user = await api.register();
      assert.deepEqual(await feed.nextAbout(user, "users.created"), [user]);
      users.push(user);
    }
    assert.ok(users.length > 1);
    assert.equal(feed.socket.connected, true);
    assert.ok(!feed.life.includes("disconnect"));
  });

  claim("a user renews with his own token and with nobody else's", async ({ api, join }) => {
    const [{ user, token }, other] = [await api.account(), await api.account()];
    const own = await join({ token });
    for (const theirs of [other.token, await api.admin(), "garbage", undefined, forge(user.id, { exp: inSeconds(-1) })]) {
      const outcome = await own.socket.emitWithAck("auth.renew", { token: theirs });
      assert.deepEqual(outcome, { ok: false, message: "UNAUTHENTICATED" });
    }
    const end = inSeconds(1200);
    const outcome = await own.socket.emitWithAck("auth.renew", { token: forge(user.id, { exp: end }) });
    assert.deepEqual(outcome, { ok: true, expiresAt: new Date(end * 1000).toISOString() });
    await api.ban(user.id);
    await own.next("account.banned");
    assert.equal(await own.gone(), "io server disconnect");
  });

  claim("a renewal without an argument is refused, and other events are still not heard", async ({ api, join }) => {
    const feed = await join({ token: await api.admin() });
    assert.deepEqual(await feed.socket.emitWithAck("auth.renew"), { ok: false, message: "UNAUTHENTICATED" });
    await assert.rejects(feed.socket.timeout(200).emitWithAck("auth.other", {}), /timed out/);
    const user = await api.register();
    assert.deepEqual(await feed.nextAbout(user, "users.created"), [user]);
  });
});
