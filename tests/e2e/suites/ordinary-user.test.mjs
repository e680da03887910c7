// What an ordinary user may not do: hear the feed, or touch anybody else.
import assert from "node:assert/strict";
import { assertRefusal } from "../harness/shapes.mjs";
import { onEveryEdge, onOneCloud } from "../harness/stage.mjs";

onEveryEdge("an ordinary user", {}, (claim) => {
  claim("hears nothing of the feed, not even the own events", async ({ api, join }) => {
    const { user, token } = await api.account();
    const [ordinary, feed] = [await join({ token }), await join()];
    const other = await api.register();
    await api.patch(other.id, { fullName: "Sara Rad Ahmadi" });
    await api.patch(user.id, { fullName: "Sara Rad Ahmadi" });
    await api.remove(other.id);
    await feed.nextAbout(other, "users.deleted");
    await feed.nextAbout(user, "users.updated");
    // All of it has been delivered to those it is for; this is the first thing that is for the user.
    await api.ban(user.id);
    await ordinary.next("account.banned");
    assert.deepEqual(ordinary.life.slice(0, 2), ["connect", "account.banned"]);
  });

  claim("cannot ban, unban, rename, delete, see or list others", async ({ api, join }) => {
    const { token } = await api.account();
    const feed = await join();
    const victim = await api.register();
    const path = `/users/${victim.id}`;
    const forbidden = [
      ["POST", `${path}/ban`, { reason: "Because I can." }],
      ["POST", `${path}/unban`],
      ["PATCH", path, { fullName: "Somebody Else Entirely" }],
      ["DELETE", path],
      ["GET", path],
      ["GET", "/users"],
    ];
    for (const [method, path, body] of forbidden) {
      assertRefusal(await api.call(method, path, { token, body }), 403, "FORBIDDEN");
      assertRefusal(await api.call(method, path, { body }), 401, "UNAUTHENTICATED");
    }
    await api.remove(victim.id);
    await feed.nextAbout(victim, "users.deleted");
    assert.deepEqual(feed.about(victim).map(([name]) => name), ["users.created", "users.deleted"]);
  });

});

onOneCloud("an ordinary user, about the own account", {}, (claim) => {
  claim("cannot ban, unban or delete it as the administrator does", async ({ api }) => {
    const { user, token } = await api.account();
    const path = `/users/${user.id}`;
    assertRefusal(await api.call("POST", `${path}/ban`, { token, body: { reason: "I am tired." } }), 403, "FORBIDDEN");
    assertRefusal(await api.call("POST", `${path}/unban`, { token }), 403, "FORBIDDEN");
    assertRefusal(await api.call("DELETE", path, { token }), 403, "FORBIDDEN");
    assert.deepEqual(await api.must(200, "GET", path, { token }), user);
  });
});
