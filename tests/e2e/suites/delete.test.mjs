// A delete: the user's sockets are thrown out like those of a banned one, and the account is gone.
import assert from "node:assert/strict";
import { assertNotice, assertRefusal } from "../harness/shapes.mjs";
import { onEveryEdge, onOneCloud } from "../harness/stage.mjs";

onEveryEdge("a delete", {}, (claim) => {
  claim("the user's sockets hear kind deleted and are disconnected, the feed hears the id", async ({ api, join }) => {
    const { user, token } = await api.account();
    const feed = await join();
    const sockets = [await join({ token }), await join({ token })];
    assert.deepEqual(await api.remove(user.id), { ok: true });
    assert.deepEqual(await feed.nextAbout(user, "users.deleted"), [{ id: user.id }]);
    for (const listener of sockets) {
      assert.equal(await listener.gone(), "io server disconnect");
      assert.equal(listener.socket.active, false);
      assert.deepEqual(listener.life, ["connect", "account.banned", "disconnect"]);
      const [[, ...args]] = listener.heard;
      assert.equal(args.length, 1);
      assertNotice(args[0], "deleted");
    }
  });

  claim("a deleted user is refused as unauthenticated", async ({ api, join, open }) => {
    const { user, token } = await api.account();
    const old = await join({ token });
    await api.remove(user.id);
    await old.gone();
    old.socket.connect();
    for (const listener of [old, open({ token })]) {
      const [error] = await listener.next("connect_error");
      assert.deepEqual(error, { message: "UNAUTHENTICATED", status: undefined });
      assert.equal(listener.socket.active, false);
    }
  });

  claim("a user who deletes the own account hears the same", async ({ api, join }) => {
    const { user, token, password } = await api.account();
    const feed = await join();
    const own = await join({ token });
    const path = `/users/${user.id}/delete`;
    assertRefusal(await api.call("POST", path, { token, body: { password: "wrong" } }), 401, "WRONG_PASSWORD");
    assert.deepEqual(await api.must(200, "POST", path, { token, body: { password } }), { ok: true });
    assert.deepEqual(await feed.nextAbout(user, "users.deleted"), [{ id: user.id }]);
    assert.equal(await own.gone(), "io server disconnect");
    assert.deepEqual(own.life, ["connect", "account.banned", "disconnect"]);
    assertNotice(own.heard[0][1], "deleted");
  });

  claim("a banned user who is deleted is announced once", async ({ api, join }) => {
    const feed = await join();
    const user = await api.register();
    const banned = await api.ban(user.id);
    await api.remove(user.id);
    await feed.nextAbout(user, "users.deleted");
    assert.deepEqual(feed.about(user), [
      ["users.created", user], ["users.updated", banned], ["users.deleted", { id: user.id }],
    ]);
  });
});

onOneCloud("a deleted user", {}, (claim) => {
  claim("the token and the password are worth nothing, and the address is free again", async ({ api }) => {
    const account = await api.account();
    const { user, token, email } = account;
    await api.remove(user.id);
    assertRefusal(await api.call("GET", "/auth/me", { token }), 401, "UNAUTHENTICATED");
    assertRefusal(await api.login(account), 401, "WRONG_CREDENTIALS");
    const again = await api.register({ email });
    assert.notEqual(again.id, user.id);
    assertRefusal(await api.call("GET", "/auth/me", { token }), 401, "UNAUTHENTICATED");
  });
});
