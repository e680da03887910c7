// Logins and what a token's bearer is told about themselves.
import assert from "node:assert/strict";
import { ADMIN } from "../harness/cloud.mjs";
import { assertKeys, assertPublicUser, assertRefusal } from "../harness/shapes.mjs";
import { onOneCloud } from "../harness/stage.mjs";
import { worthless } from "../harness/tokens.mjs";

onOneCloud("sessions", {}, (claim) => {
  const assertTokens = (tokens) => {
    assertKeys(tokens, ["accessToken", "refreshToken", "expiresIn"]);
    assert.match(tokens.refreshToken, /^[\w-]{86}$/);
    assert.equal(tokens.expiresIn, 900);
    const [header, claims] = tokens.accessToken.split(".").map((part) => Buffer.from(part, "base64url"));
    assert.equal(JSON.parse(header).alg, "HS256");
    const { exp, iat } = JSON.parse(claims);
    assert.equal(exp - iat, 900);
    return JSON.parse(claims);
  };

  claim("a user logs in: the user as everyone sees them, and a token for a quarter of an hour", async ({ api }) => {
    const { user, email, password } = await api.account();
    const { status, body } = await api.login({ email: email.toUpperCase(), password });
    assert.equal(status, 200);
    assertKeys(body, ["ok", "user", "tokens"]);
    assert.equal(body.ok, true);
    assertPublicUser(body.user, user);
    const { sub, role } = assertTokens(body.tokens);
    assert.deepEqual({ sub, role }, { sub: user.id, role: "user" });
  });

  claim("the administrator logs in and is somebody else than a user", async ({ api }) => {
    const body = await api.must(200, "POST", "/auth/admin/login", { body: ADMIN });
    assertKeys(body, ["ok", "user", "tokens"]);
    assert.deepEqual(body.user, { id: "admin", email: ADMIN.email, role: "admin" });
    const { sub, role } = assertTokens(body.tokens);
    assert.deepEqual({ sub, role }, { sub: "admin", role: "admin" });
  });

  claim("a refresh token is worth the next pair, again for a lost answer, and an older one ends the session", async ({ api }) => {
    const { user, email, password } = await api.account();
    const refresh = (tokens) => {
      return api.call("POST", "/auth/user/refresh", { body: { refreshToken: tokens.refreshToken } });
    };
    const first = (await api.login({ email, password })).body.tokens;
    const { status, body } = await refresh(first);
    assert.equal(status, 200);
    assertKeys(body, ["ok", "user", "tokens"]);
    assertPublicUser(body.user, user);
    assert.equal(assertTokens(body.tokens).sub, user.id);
    const again = await refresh(first);
    assert.equal(again.status, 200);
    assert.equal(again.body.tokens.refreshToken, body.tokens.refreshToken);
    const next = await refresh(body.tokens);
    assert.equal(next.status, 200);
    assertRefusal(await refresh(first), 401, "UNAUTHENTICATED");
    assertRefusal(await refresh(next.body.tokens), 401, "UNAUTHENTICATED");
  });

  claim("a logout ends the administrator's session, and the access token lives on", async ({ api }) => {
    const { tokens } = await api.must(200, "POST", "/auth/admin/login", { body: ADMIN });
    const body = { refreshToken: tokens.refreshToken };
    assert.deepEqual(await api.must(200, "POST", "/auth/admin/logout", { body }), { ok: true });
    assertRefusal(await api.call("POST", "/auth/admin/refresh", { body }), 401, "UNAUTHENTICATED");
    assert.equal((await api.call("GET", "/auth/me", { token: tokens.accessToken })).status, 200);
  });

  claim("users are no administrators, and the administrator is no user", async ({ api }) => {
    const { email, password } = await api.account();
    const asAdmin = await api.call("POST", "/auth/admin/login", { body: { email, password } });
    assertRefusal(asAdmin, 401, "WRONG_CREDENTIALS");
    assertRefusal(await api.login(ADMIN), 401, "WRONG_CREDENTIALS");
  });

  claim("GET /auth/me answers who the bearer is now", async ({ api }) => {
    const { user, token } = await api.account();
    assert.deepEqual(await api.must(200, "GET", "/auth/me", { token }), { ok: true, user });
    const renamed = await api.patch(user.id, { fullName: "Sara Rad Ahmadi" });
    assert.deepEqual(await api.must(200, "GET", "/auth/me", { token }), { ok: true, user: renamed });
    const me = await api.must(200, "GET", "/auth/me", { token: await api.admin() });
    assert.deepEqual(me, { ok: true, user: { id: "admin", email: ADMIN.email, role: "admin" } });
  });

  claim("a worthless token is refused by every route that asks for one", async ({ api }) => {
    const user = await api.register();
    const path = `/users/${user.id}`;
    const routes = [
      ["GET", "/auth/me"], ["GET", "/users"], ["GET", path], ["PATCH", path, { photoUrl: null }], ["DELETE", path],
      ["POST", `${path}/ban`, { reason: "x" }], ["POST", `${path}/unban`],
    ];
    for (const token of [undefined, ...Object.values(worthless("admin", { role: "admin" }))]) {
      for (const [method, route, body] of routes) {
        assertRefusal(await api.call(method, route, { token: token && `${token}`, body }), 401, "UNAUTHENTICATED");
      }
    }
    assert.deepEqual(await api.must(200, "GET", path, { token: await api.admin() }), user);
  });

  claim("a token is a bearer's, in any spelling of that word, and nothing else", async ({ api }) => {
    const token = await api.admin();
    const me = (authorization) => api.call("GET", "/auth/me", { headers: { authorization } });
    assert.equal((await me(`bearer ${token}`)).status, 200);
    for (const header of [token, `Basic ${token}`, "Bearer", ""]) {
      assertRefusal(await me(header), 401, "UNAUTHENTICATED");
    }
    assertRefusal(await api.call("GET", `/auth/me?token=${token}`), 401, "UNAUTHENTICATED");
  });
});
