// Other clients than the newest official one: older versions, and those of other languages, at both entrances. Each is a
// program of its own in `clients/`, which prints what happens to it.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { after, before, describe, test } from "node:test";
import { Cloud } from "../harness/cloud.mjs";
import { Journal } from "../harness/journal.mjs";

const here = (file) => new URL(`../clients/${file}`, import.meta.url).pathname;

const javascript = (name) => ({ program: process.execPath, args: [here("javascript.mjs"), name] });
const python = (file) => ({ program: process.env.CLIENTS_PYTHON, args: [here(file)], needs: "CLIENTS_PYTHON" });

/** In CI all of them; elsewhere those that are there. */
const CLIENTS = {
  "socket.io-client 3.1.3": javascript("socket.io-client-3.1.3"),
  "socket.io-client 4.0.0": javascript("socket.io-client-4.0.0"),
  "socket.io-client, the newest": javascript("socket.io-client"),
  "python-socketio": python("python_sync.py"),
  "python-socketio with asyncio": python("python_async.py"),
  "rust_socketio": { program: process.env.CLIENTS_RUST, args: [], needs: "CLIENTS_RUST" },
};

/** What CLIENTS.md tells people to write: a path for API Gateway only, without a slash at its end, which these clients add. */
const ENTRANCES = { "/socket.io/": [], "/dev": ["/dev"] };

/** A client that runs until it is closed, or has nothing more to say. */
class Client {
  #journal = new Journal();

  constructor({ program, args }, base, token, path) {
    this.process = spawn(program, [...args, base, token, ...path], { stdio: ["ignore", "pipe", "pipe"] });
    createInterface({ input: this.process.stdout }).on("line", (line) => {
      const [name, ...rest] = JSON.parse(line);
      this.#journal.add({ name, args: rest });
    });
    this.process.stderr.on("data", (text) => this.#journal.add({ name: "stderr", args: [`${text}`] }));
    this.process.on("error", (error) => this.#journal.add({ name: "error", args: [error.message] }));
  }

  async next(name, matches = () => true) {
    const { args } = await this.#journal.next(`"${name}"`, (entry) => entry.name === name && matches(...entry.args));
    return args;
  }

  /** The payload of the next event of this name; it has exactly one. */
  async event(wanted, matches = () => true) {
    const [, ...payload] = await this.next("event", (name, ...args) => name === wanted && matches(...args));
    assert.equal(payload.length, 1);
    return payload[0];
  }

  close() {
    this.process.kill("SIGKILL");
  }
}

describe("other clients", () => {
  const cloud = new Cloud();
  before(() => cloud.start());
  after(() => cloud.stop());

  for (const [name, how] of Object.entries(CLIENTS)) {
    const missing = !how.program && `${how.needs} is not set, see CONTRIBUTING.md`;
    if (missing && process.env.CI) throw new Error(`in CI every client has to be there: ${missing}`);
    for (const [entrance, path] of Object.entries(ENTRANCES)) {
      const claim = (title, body) =>
        test(`${entrance}: ${name} ${title}`, { skip: missing }, async () => {
          const clients = [];
          const start = (token) => clients[clients.push(new Client(how, cloud.base, token, path)) - 1];
          try {
            await body(start, cloud.api);
          } finally {
            for (const client of clients) client.close();
          }
        });

      claim("connects and hears an event", async (start, api) => {
        const client = start(await api.admin());
        await client.next("connect");
        const user = await api.register();
        assert.deepEqual(await client.event("users.created", ({ id }) => id === user.id), user);
      });

      claim("is refused in words", async (start) => {
        const [words] = await start("a token that proves nothing").next("refused");
        assert.match(words, /UNAUTHENTICATED/);
      });

      claim("is thrown out", async (start, api) => {
        const { user, token } = await api.account();
        const client = start(token);
        await client.next("connect");
        await api.ban(user.id);
        assert.equal((await client.event("account.banned")).kind, "banned");
        await client.next("disconnect");
      });
    }
  }
});
