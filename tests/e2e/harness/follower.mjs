// An application that asked for recovery, written as README has it, and what it has seen.
import assert from "node:assert/strict";
import { io } from "socket.io-client";
import { TIMEOUT_MS } from "./deadline.mjs";
import { GATEWAY } from "./edges.mjs";
import { complaint } from "./events.mjs";
import { Journal } from "./journal.mjs";

export class Follower {
  rows = new Map();
  /** How often it loaded the list. */
  loads = 0;
  /** `socket.recovered` at each `connect`. */
  recovered = [];
  /** Listeners that ran for a state the application had already. */
  twice = [];
  /** What was heard that the contract does not promise. */
  complaints = [];
  #journal = new Journal();
  #changed = new Set();
  #loaded = false;

  constructor(cloud, options) {
    this.cloud = cloud;
    const auth = (give) => cloud.api.admin().then((token) => give({ token, recovery: true }));
    this.socket = io(`${cloud.base}/users`, { forceNew: true, reconnectionDelay: 1, reconnectionDelayMax: 50, ...GATEWAY.options, auth, ...options });
    this.socket.on("users.created", (user) => this.#keep(user));
    this.socket.on("users.updated", (user) => this.#keep(user));
    this.socket.on("users.deleted", ({ id }) => this.#keep({ id }));
    this.socket.onAny((name, ...args) => this.complaints.push(...[complaint(name, args, true)].filter(Boolean)));
    this.socket.on("connect", () => void this.#connected());
    this.socket.on("disconnect", (reason) => this.#journal.add({ name: "disconnect", reason }));
  }

  /** Whether the rows of the table are those of the REST API. */
  async isRight() {
    const users = await this.cloud.api.list();
    return users.size === this.rows.size && [...users].every(([id, user]) => same(this.rows.get(id), user));
  }

  /** Waits for that, and asserts that nothing the contract does not promise was heard. */
  async becomesRight(timeout = TIMEOUT_MS) {
    for (const end = Date.now() + timeout; !(await this.isRight()); ) {
      assert.ok(Date.now() < end, `the table is not what REST says: ${JSON.stringify(await this.#wrong())}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    assert.deepEqual(this.complaints, []);
  }

  /** The list is here. */
  async ready() {
    await this.#journal.next("the list", ({ name }) => name === "loaded");
    return this;
  }

  /** Takes the next `connect`; whether it was recovered. */
  async connected() {
    return (await this.#journal.next("connect", ({ name }) => name === "connect")).recovered;
  }

  /** Takes the next `disconnect`; its reason. */
  async gone() {
    return (await this.#journal.next("disconnect", ({ name }) => name === "disconnect")).reason;
  }

  /** Stays away until `back`. */
  async cut() {
    this.socket.io.reconnection(false);
    this.socket.io.engine.close();
    return this.gone();
  }

  /** Comes back. */
  async back() {
    this.socket.io.reconnection(true);
    this.socket.connect();
    return this.connected();
  }

  close() {
    this.socket.disconnect();
  }

  #keep(user) {
    if (same(this.rows.get(user.id), user.fullName ? user : undefined)) this.twice.push(user);
    if (user.fullName) this.rows.set(user.id, user);
    else this.rows.delete(user.id);
    this.#changed.add(user.id);
  }

  async #connected() {
    this.recovered.push(this.socket.recovered);
    this.#journal.add({ name: "connect", recovered: this.socket.recovered });
    if (this.socket.recovered && this.#loaded) return;
    const since = (this.#changed = new Set());
    this.#loaded = false;
    this.loads += 1;
    const listed = await this.cloud.api.list();
    if (since !== this.#changed) return;
    for (const [id, user] of listed) if (!since.has(id)) this.rows.set(id, user);
    for (const id of this.rows.keys()) if (!listed.has(id) && !since.has(id)) this.rows.delete(id);
    this.#loaded = true;
    this.#journal.add({ name: "loaded" });
  }

  async #wrong() {
    const users = await this.cloud.api.list();
    const ids = new Set([...users.keys(), ...this.rows.keys()]);
    return [...ids].filter((id) => !same(this.rows.get(id), users.get(id))).slice(0, 3).map((id) => [this.rows.get(id), users.get(id)]);
  }
}

function same(one, other) {
  return JSON.stringify(one) === JSON.stringify(other);
}
