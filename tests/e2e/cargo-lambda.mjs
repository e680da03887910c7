// The official client against functions that run under `cargo lambda watch`: node cargo-lambda.mjs http://127.0.0.1:3000
// Not one of the suites, because it wants both programs to be running. The first calls compile the functions.

import assert from "node:assert/strict";
import { io } from "socket.io-client";

const base = process.argv[2];
const minutes = (n) => n * 60_000;

async function call(method, path, body, token) {
  const headers = { "content-type": "application/json", ...(token && { authorization: `Bearer ${token}` }) };
  const response = await fetch(`${base}/api/v1${path}`, {
    method, headers, body: JSON.stringify(body), signal: AbortSignal.timeout(minutes(15)),
  });
  const answer = await response.json();
  assert.ok(response.ok, `${method} ${path}: ${JSON.stringify(answer)}`);
  return answer;
}

function once(socket, event) {
  return new Promise((resolve, reject) => {
    socket.once(event, resolve);
    socket.once("connect_error", reject);
    setTimeout(() => reject(new Error(`no ${event} in time`)), minutes(15)).unref();
  });
}

const options = { path: "/dev", addTrailingSlash: false, transports: ["websocket"], timeout: minutes(15), forceNew: true };
const feed = io(`${base}/users`, options);
await once(feed, "connect");
console.log("connected", feed.id);
const created = once(feed, "users.created");
const form = {
  fullName: "Sara Ahmadi Rad", countryCode: "IR", countryName: "Iran", phone: "+989121234567",
  email: `sara.${Date.now()}@example.com`, password: "correct horse",
};
const { user } = await call("POST", "/users/register", form);
assert.deepEqual(await created, user);
console.log("users.created", user.id);

const login = await call("POST", "/auth/user/login", { email: form.email, password: form.password });
const own = io(`${base}/users`, { ...options, auth: { token: login.tokens.accessToken } });
await once(own, "connect");
const [banned, left] = [once(own, "account.banned"), once(own, "disconnect")];
const admin = await call("POST", "/auth/admin/login", { email: "admin@example.com", password: "local-admin" });
await call("POST", `/users/${user.id}/ban`, { reason: "a test" }, admin.tokens.accessToken);
assert.equal((await banned).kind, "banned");
assert.equal(await left, "io server disconnect");
console.log("account.banned, io server disconnect");
feed.disconnect();
process.exit(0);
