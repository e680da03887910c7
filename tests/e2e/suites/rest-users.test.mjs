// Users over REST: reading, listing, changing; every answer's exact shape.
import assert from "node:assert/strict";
import { form } from "../harness/api.mjs";
import { assertKeys, assertPublicUser, assertRefusal } from "../harness/shapes.mjs";
import { onOneCloud } from "../harness/stage.mjs";

onOneCloud("users", {}, (claim) => {
  claim("the health route answers everybody", async ({ api }) => {
    const health = await api.must(200, "GET", "/health");
    assertKeys(health, ["status", "timestamp", "uptime"]);
    assert.equal(health.status, "ok");
    assert.ok(!Number.isNaN(Date.parse(health.timestamp)));
    assert.equal(typeof health.uptime, "number");
  });

  claim("a registration answers 201 and the user, never a hash", async ({ api }) => {
    const { password, ...filled } = form();
    const answer = await api.call("POST", "/users/register", { body: { ...filled, password } });
    assert.equal(answer.status, 201);
    assertKeys(answer.body, ["ok", "user"]);
    assert.equal(answer.body.ok, true);
    assertPublicUser(answer.body.user, filled);
    assert.ok(!JSON.stringify(answer.body).includes("argon2"));
  });

  claim("a user is read by the administrator and by nobody else but that user", async ({ api }) => {
    const { user, token } = await api.account();
    const path = `/users/${user.id}`;
    assert.deepEqual(await api.must(200, "GET", path, { token }), user);
    assert.deepEqual(await api.must(200, "GET", path, { token: await api.admin() }), user);
    assertRefusal(await api.call("GET", path), 401, "UNAUTHENTICATED");
  });

  claim("a photo is set and removed, and the name stays", async ({ api }) => {
    const { user, token } = await api.account();
    const photoUrl = "https://cdn.example.com/me.png?size=2";
    for (const value of [photoUrl, null]) {
      const answer = await api.must(200, "PATCH", `/users/${user.id}`, { token, body: { photoUrl: value } });
      assert.deepEqual(answer, { ok: true, user: { ...user, photoUrl: value } });
    }
  });

  claim("ban, unban and delete answer ok and the user as after it", async ({ api }) => {
    const token = await api.admin();
    const user = await api.register();
    const path = `/users/${user.id}`;
    const ban = await api.must(200, "POST", `${path}/ban`, { token, body: { reason: "Never pays." } });
    assertPublicUser(ban.user, { ...user, isBanned: true, bannedAt: ban.user.bannedAt });
    assert.ok(!Number.isNaN(Date.parse(ban.user.bannedAt)));
    assert.ok(!JSON.stringify(ban).includes("Never pays."), "the reason is not for everyone");
    assert.deepEqual(await api.must(200, "POST", `${path}/unban`, { token }), { ok: true, user });
    assert.deepEqual(await api.must(200, "DELETE", path, { token }), { ok: true });
    assertRefusal(await api.call("GET", path, { token }), 404, "NOT_FOUND");
    assertRefusal(await api.call("DELETE", path, { token }), 404, "NOT_FOUND");
  });

  claim("the list is newest first, in pages that follow the Link header to the end", async ({ cloud, api }) => {
    const token = await api.admin();
    const users = [];
    for (let n = 0; n < 5; n += 1) users.unshift(await api.register());
    const listed = [];
    let next = "/users?limit=2";
    while (next) {
      const { status, headers, body } = await api.call("GET", next, { token });
      assert.equal(status, 200);
      assert.ok(body.length <= 2, `${body.length} on a page of 2`);
      for (const user of body) assertPublicUser(user);
      listed.push(...body);
      const link = /^<([^>]+)>; rel="next"$/.exec(headers.get("link") ?? "")?.[1];
      next = link && new URL(link, cloud.base).href.slice(api.base.length);
    }
    assert.deepEqual(listed.slice(0, users.length), users);
    assert.equal(new Set(listed.map(({ id }) => id)).size, listed.length, "nobody is listed twice");
    const whole = await api.must(200, "GET", "/users?limit=100", { token });
    assert.deepEqual(whole, listed);
  });

  claim("a method a path does not have is a 405 in the one shape", async ({ api }) => {
    assertRefusal(await api.call("DELETE", "/health"), 405, "METHOD_NOT_ALLOWED");
  });
});
