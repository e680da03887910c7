// Bad input over REST: a clear 4xx in the one shape, which names the field, and a service that goes on.
import assert from "node:assert/strict";
import { form } from "../harness/api.mjs";
import { ADMIN } from "../harness/cloud.mjs";
import { assertRefusal } from "../harness/shapes.mjs";
import { onEveryEdge, onOneCloud } from "../harness/stage.mjs";

/** Registrations with one fault, by the field that has to be named. */
const FAULTS = {
  fullName: [5, null, "", "Sara", "Sara Ahmadi", "  Sara   Ahmadi  ", `a b ${"c".repeat(177)}`],
  countryCode: ["", "de", "DEU", "XX", 49],
  countryName: ["", "   ", {}],
  phone: ["", "00491701234567", "+49 170 1234567", "+0491701234567", "+12345678901234567", 491701234567],
  email: ["", "sara", "sara@", "@example.com", "Sara <sara@example.com>", `${"a".repeat(250)}@example.com`, []],
  password: ["", "seven77", "x".repeat(129), true],
};

/** Bodies that are no JSON object at all. */
const NO_OBJECTS = ["", "{", '{"fullName":', "[]", "null", "5", '"text"', "undefined", "{'a':1}", '{"a":1}x', "\u0000"];

onOneCloud("bad registrations", {}, (claim) => {
  const register = (api, body, headers) => api.call("POST", "/users/register", { body, headers });

  for (const [field, values] of Object.entries(FAULTS)) {
    claim(`a bad ${field} is a 400 that names it`, async ({ api }) => {
      for (const value of values) {
        assertRefusal(await register(api, form({ [field]: value })), 400, "VALIDATION_ERROR", [field]);
      }
    });

    claim(`a missing ${field} is a 400 that names it`, async ({ api }) => {
      const { [field]: _, ...rest } = form();
      assertRefusal(await register(api, rest), 400, "VALIDATION_ERROR", [field]);
    });
  }

  claim("all broken rules are reported at once", async ({ api }) => {
    const faulty = form({ fullName: "Sara", phone: "none", password: "short" });
    assertRefusal(await register(api, faulty), 400, "VALIDATION_ERROR", ["fullName", "phone", "password"]);
  });

  claim("an unknown key is a 400 that names it", async ({ api }) => {
    for (const key of ["isBanned", "role", "id", "passwordHash", "__proto__x"]) {
      assertRefusal(await register(api, form({ [key]: "x" })), 400, "VALIDATION_ERROR", [key]);
    }
  });

  claim("what is no JSON object is a 400 that names the body", async ({ api }) => {
    for (const body of NO_OBJECTS) assertRefusal(await register(api, body), 400, "VALIDATION_ERROR", ["body"]);
    assertRefusal(await register(api, Buffer.from([0xff, 0xfe, 0x7b])), 400, "VALIDATION_ERROR", ["body"]);
  });

  claim("another content type is a 415", async ({ api }) => {
    for (const type of ["text/plain", "application/x-www-form-urlencoded", "application/jsonp"]) {
      const answer = await register(api, JSON.stringify(form()), { "content-type": type });
      assertRefusal(answer, 415, "UNSUPPORTED_MEDIA_TYPE");
    }
    const withCharset = { "content-type": "application/json; charset=utf-8" };
    assert.equal((await register(api, form(), withCharset)).status, 201);
  });

  claim("a body over 64 KB is a 413, also one of 2 MB", async ({ api }) => {
    for (const size of [70_000, 2_000_000]) {
      const answer = await register(api, form({ fullName: `a b ${"c".repeat(size)}` }));
      assertRefusal(answer, 413, "BODY_TOO_LARGE");
    }
  });

  claim("an address that is taken is a 409, in any spelling", async ({ api }) => {
    const { email } = await api.register();
    for (const spelling of [email, email.toUpperCase()]) {
      assertRefusal(await register(api, form({ email: spelling })), 409, "EMAIL_TAKEN");
    }
  });
});

onOneCloud("bad requests", {}, (claim) => {
  claim("a bad id is a 400 that names it", async ({ api }) => {
    const token = await api.admin();
    for (const id of ["5", "not-a-uuid", "8f14e45f-ceea-4672-a8f5-2d9f4bd0a3cg", "%00", "%F0%9F%A6%80"]) {
      for (const [method, path, body] of [
        ["GET", ""], ["PATCH", "", {}], ["DELETE", ""], ["POST", "/ban", { reason: "x" }], ["POST", "/unban"],
      ]) {
        const answer = await api.call(method, `/users/${id}${path}`, { token, body });
        assertRefusal(answer, 400, "VALIDATION_ERROR", ["id"]);
      }
    }
  });

  claim("a bad change is a 400 that names the field and changes nothing", async ({ api }) => {
    const token = await api.admin();
    const user = await api.register();
    const faults = {
      fullName: [null, 5, "Sara", ""],
      photoUrl: [5, "", "http://cdn.example.com/a.png", "javascript:alert(1)", "https://", {}],
      email: ["new@example.com"],
      isBanned: [true],
    };
    for (const [field, values] of Object.entries(faults)) {
      for (const value of values) {
        const answer = await api.call("PATCH", `/users/${user.id}`, { token, body: { [field]: value } });
        assertRefusal(answer, 400, "VALIDATION_ERROR", [field]);
      }
    }
    assert.deepEqual(await api.must(200, "GET", `/users/${user.id}`, { token }), user);
  });

  claim("a ban without a proper reason is a 400 and bans nobody", async ({ api }) => {
    const token = await api.admin();
    const user = await api.register();
    const ban = (body) => api.call("POST", `/users/${user.id}/ban`, { token, body });
    for (const reason of ["", "   ", "x".repeat(501), 5, null]) {
      assertRefusal(await ban({ reason }), 400, "VALIDATION_ERROR", ["reason"]);
    }
    assertRefusal(await ban({}), 400, "VALIDATION_ERROR", ["reason"]);
    assert.deepEqual(await api.must(200, "GET", `/users/${user.id}`, { token }), user);
  });

  claim("a bad page is a 400 that names the parameter", async ({ api }) => {
    const token = await api.admin();
    for (const limit of ["0", "-1", "101", "ten", "1.5", ""]) {
      assertRefusal(await api.call("GET", `/users?limit=${limit}`, { token }), 400, "VALIDATION_ERROR", ["limit"]);
    }
    const answer = await api.call("GET", "/users?cursor=nonsense", { token });
    assertRefusal(answer, 400, "VALIDATION_ERROR", ["cursor"]);
  });

  claim("a user who does not exist is a 404, as is a path", async ({ api }) => {
    const token = await api.admin();
    const nobody = "/users/8f14e45f-ceea-4672-a8f5-2d9f4bd0a3c1";
    for (const [method, path, body] of [
      ["GET", nobody], ["PATCH", nobody, { photoUrl: null }], ["DELETE", nobody],
      ["POST", `${nobody}/ban`, { reason: "x" }], ["POST", `${nobody}/unban`], ["GET", "/nowhere"],
    ]) {
      assertRefusal(await api.call(method, path, { token, body }), 404, "NOT_FOUND");
    }
  });

  claim("bad credentials are a 401 and bad logins a 400", async ({ api }) => {
    const { email } = await api.register();
    for (const path of ["/auth/user/login", "/auth/admin/login"]) {
      const login = (body) => api.call("POST", path, { body });
      for (const address of [email, "nobody@example.com", ADMIN.email, ""]) {
        assertRefusal(await login({ email: address, password: "wrong password" }), 401, "WRONG_CREDENTIALS");
      }
      assertRefusal(await login({ email }), 400, "VALIDATION_ERROR", ["password"]);
      assertRefusal(await login({ email, password: 5 }), 400, "VALIDATION_ERROR", ["password"]);
      assertRefusal(await login({ email, password: "x", remember: true }), 400, "VALIDATION_ERROR", ["remember"]);
    }
  });
});

onEveryEdge("bad input over REST and the feed", {}, (claim) => {
  claim("nothing that was refused is announced, and the feed goes on", async ({ api, join }) => {
    const feed = await join();
    for (const body of [...NO_OBJECTS, form({ phone: "none" }), form({ fullName: "x".repeat(2_000_000) })]) {
      const { status } = await api.call("POST", "/users/register", { body });
      assert.ok(status >= 400 && status < 500, `${status}`);
    }
    const user = await api.register();
    await feed.nextAbout(user, "users.created");
    assert.deepEqual(feed.heard, [["users.created", user]]);
  });
});
