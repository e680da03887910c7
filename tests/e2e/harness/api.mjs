// The REST API as the suites use it: `call` for any request and its answer, verbs for what must succeed. Every answer must
// be one that the API's document promises.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { TIMEOUT_MS } from "./deadline.mjs";
import { Document } from "./document.mjs";

/** Half of what an access token lives, in milliseconds: a suite on a slow machine may take longer than one does. */
const TOKEN_HALF_LIFE = (15 * 60_000) / 2;

/** A registration form nobody else has sent. */
export function form(changes = {}) {
  return {
    fullName: "Sara Ahmadi Rad",
    countryCode: "IR",
    countryName: "Iran",
    phone: "+989121234567",
    email: `${randomUUID()}@example.com`,
    password: "a good password",
    ...changes,
  };
}

export class Api {
  #admin;
  #document;
  #token;
  #renewAt;

  /** `admin` is the administrator's `{ email, password }`. */
  constructor(base, admin) {
    this.base = `${base}/api/v1`;
    this.#admin = admin;
  }

  /**
   * One request. A string or buffer goes out as it is, anything else as JSON. Of the answer only that it is documented is
   * asserted here.
   */
  async call(method, path, { token, body, headers } = {}) {
    const raw = body === undefined || typeof body === "string" || Buffer.isBuffer(body);
    const answer = await fetch(this.base + path, {
      method,
      body: raw ? body : JSON.stringify(body),
      headers: {
        ...(body !== undefined && { "content-type": "application/json" }),
        ...(token && { authorization: `Bearer ${token}` }),
        ...headers,
      },
      signal: AbortSignal.timeout(TIMEOUT_MS * 3),
    });
    const text = await answer.text();
    const json = answer.headers.get("content-type")?.startsWith("application/json");
    const seen = { status: answer.status, headers: answer.headers, body: json ? JSON.parse(text) : text };
    // A preflight is answered by API Gateway itself, and is nothing of the API.
    if (method !== "OPTIONS") {
      (await this.document()).mustKnow(method, new URL(answer.url).pathname, seen);
    }
    return seen;
  }

  /** What the service says of its answers, asked for once. */
  document() {
    return (this.#document ??= Document.of(this.base));
  }

  /** A request that must be answered with `status`; its body. */
  async must(status, method, path, request) {
    const answer = await this.call(method, path, request);
    assert.equal(answer.status, status, `${method} ${path}: ${JSON.stringify(answer.body)}`);
    return answer.body;
  }

  async register(changes) {
    return (await this.must(201, "POST", "/users/register", { body: form(changes) })).user;
  }

  login({ email, password }) {
    return this.call("POST", "/auth/user/login", { body: { email, password } });
  }

  /** A registered user who has logged in: `{ user, email, password, token }`. */
  async account() {
    const { email, password } = form();
    const user = await this.register({ email, password });
    const { tokens } = await this.must(200, "POST", "/auth/user/login", { body: { email, password } });
    return { user, email, password, token: tokens.accessToken };
  }

  /** The administrator's access token; a new one when half of its time is over. */
  admin() {
    if (!(this.#renewAt > Date.now())) {
      this.#token = this.must(200, "POST", "/auth/admin/login", { body: this.#admin });
      this.#renewAt = Date.now() + TOKEN_HALF_LIFE;
    }
    return this.#token.then(({ tokens }) => tokens.accessToken);
  }

  async #asAdmin(method, path, body) {
    return this.must(200, method, path, { token: await this.admin(), body });
  }

  /** All users by id, page after page. */
  async list() {
    const users = new Map();
    for (let path = "/users?limit=100"; path; ) {
      const { status, headers, body } = await this.call("GET", path, { token: await this.admin() });
      assert.equal(status, 200);
      for (const user of body) users.set(user.id, user);
      [, path] = /<\/api\/v1([^>]+)>; rel="next"/.exec(headers.get("link") ?? "") ?? [];
    }
    return users;
  }

  async patch(id, changes) {
    return (await this.#asAdmin("PATCH", `/users/${id}`, changes)).user;
  }

  async ban(id) {
    return (await this.#asAdmin("POST", `/users/${id}/ban`, { reason: "Never pays." })).user;
  }

  async unban(id) {
    return (await this.#asAdmin("POST", `/users/${id}/unban`)).user;
  }

  async remove(id) {
    return this.#asAdmin("DELETE", `/users/${id}`);
  }
}
