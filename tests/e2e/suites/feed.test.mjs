// The feed: users.created, users.updated and users.deleted as every listener of it gets them.
import assert from "node:assert/strict";
import { form } from "../harness/api.mjs";
import { assertPublicUser } from "../harness/shapes.mjs";
import { onEveryEdge } from "../harness/stage.mjs";

onEveryEdge("the feed", {}, (claim) => {
  claim("a registration arrives as users.created: one argument with exactly the public keys", async ({ api, join }) => {
    const feed = await join();
    const { password, ...filled } = form();
    const user = await api.register({ ...filled, password });
    const args = await feed.nextAbout(user, "users.created");
    assert.equal(args.length, 1);
    assertPublicUser(args[0], {
      ...filled, isBanned: false, bannedAt: null, phoneVerified: false, emailVerified: false, photoUrl: null,
    });
    assert.deepEqual(args[0], user, "what the listener hears is what the registration answered");
  });

  claim("every change arrives exactly once, as the user is after it", async ({ api, join }) => {
    const feed = await join();
    const user = await api.register();
    const renamed = await api.patch(user.id, { fullName: "Sara Rad Ahmadi" });
    const shown = await api.patch(user.id, { photoUrl: "https://cdn.example.com/sara.png" });
    const hidden = await api.patch(user.id, { photoUrl: null });
    await api.remove(user.id);
    // The last event of the user: whatever came twice came before it.
    await feed.nextAbout(user, "users.deleted");
    for (const changed of [renamed, shown, hidden]) assertPublicUser(changed);
    assert.equal(shown.photoUrl, "https://cdn.example.com/sara.png");
    assert.equal(hidden.photoUrl, null);
    assert.deepEqual(feed.about(user), [
      ["users.created", user],
      ["users.updated", renamed],
      ["users.updated", shown],
      ["users.updated", hidden],
      ["users.deleted", { id: user.id }],
    ]);
  });

  claim("a ban and an unban arrive as users.updated, a repeated ban does not", async ({ api, join }) => {
    const feed = await join();
    const user = await api.register();
    const banned = await api.ban(user.id);
    assert.deepEqual(await api.ban(user.id), banned, "the second ban changes nothing");
    const unbanned = await api.unban(user.id);
    await api.remove(user.id);
    await feed.nextAbout(user, "users.deleted");
    assertPublicUser(banned, { isBanned: true });
    assert.ok(banned.bannedAt);
    assertPublicUser(unbanned, { isBanned: false, bannedAt: null });
    assert.deepEqual(feed.about(user).slice(1, -1), [["users.updated", banned], ["users.updated", unbanned]]);
  });

  claim("a change that changes nothing is not announced", async ({ api, join }) => {
    const feed = await join();
    const user = await api.register();
    await api.patch(user.id, { fullName: user.fullName, photoUrl: null });
    await api.patch(user.id, {});
    const renamed = await api.patch(user.id, { fullName: "Sara Rad Ahmadi" });
    await feed.nextAbout(user, "users.updated");
    assert.deepEqual(feed.about(user), [["users.created", user], ["users.updated", renamed]]);
  });

  claim("fifty quick renames arrive in the order they were made, on two sockets", async ({ api, join }) => {
    const feeds = [await join(), await join()];
    const user = await api.register();
    const names = Array.from({ length: 50 }, (_, n) => `Sara Ahmadi ${n}`);
    for (const fullName of names) await api.patch(user.id, { fullName });
    await api.remove(user.id);
    for (const feed of feeds) {
      await feed.nextAbout(user, "users.deleted");
      const heard = feed.about(user).filter(([name]) => name === "users.updated");
      assert.deepEqual(heard.map(([, { fullName }]) => fullName), names);
    }
  });

  claim("users who change their own profile are heard like the administrator", async ({ api, join }) => {
    const feed = await join();
    const { user, token } = await api.account();
    const changes = { fullName: "Sara Rad Ahmadi", photoUrl: "https://cdn.example.com/me.png" };
    const answer = await api.must(200, "PATCH", `/users/${user.id}`, { token, body: changes });
    assert.deepEqual(answer, { ok: true, user: { ...user, ...changes } });
    assert.deepEqual(await feed.nextAbout(user, "users.updated"), [answer.user]);
  });

  claim("twelve registrations race for one address: one wins, one is announced", async ({ api, join }) => {
    const feed = await join();
    const { email } = form();
    const spelling = (n) => (n % 2 ? email.toUpperCase() : email);
    const racing = Array.from({ length: 12 }, (_, n) =>
      api.call("POST", "/users/register", { body: form({ email: spelling(n) }) }));
    const answers = await Promise.all(racing);
    assert.deepEqual(answers.map(({ status }) => status).sort(), [201, ...Array(11).fill(409)]);
    const { user } = answers.find(({ status }) => status === 201).body;
    // The address is free only after the delete has been announced, so a second winner would have been heard by then.
    await api.remove(user.id);
    await feed.nextAbout(user, "users.deleted");
    const sameAddress = feed.heard.filter(([, payload]) => payload.email?.toLowerCase() === email);
    assert.deepEqual(sameAddress, [["users.created", user]]);
  });
});
