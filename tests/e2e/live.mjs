// Asks a running stack what nobody could tell without one: `node live.mjs --help`. It says line by line what was assumed
// and what was seen, ends with 1 where a difference matters, and leaves nothing behind.
import { parseArgs } from "node:util";
import { Api, form } from "./harness/api.mjs";
import * as checks from "./probe/checks.mjs";
import { Management } from "./probe/management.mjs";
import { Report } from "./probe/report.mjs";
import { UNVERIFIED } from "./probe/unverified.mjs";

const HELP = `Probes a running stack, on AWS or local-dev.

  ADMIN_PASSWORD=… node live.mjs --rest <url> --sockets <url> --admin <e-mail>

  --rest       RestUrl of the stack's outputs, such as https://<api>.execute-api.<region>.amazonaws.com/api/v1
  --sockets    where sockets connect, with the path: https://<api>.execute-api.<region>.amazonaws.com/dev
  --admin      e-mail address of the administrator; the password is read from ADMIN_PASSWORD
  --origin     one of the stack's Origins [http://localhost:4200]
  --changes    how many changes are timed [100]

With AWS credentials in the environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN) that may
execute-api:ManageConnections, @connections is asked directly, too. It registers two users and deletes them.
`;

/** Everything the checks need, and what has to go at the end. */
class Stage {
  #kept = [];
  #users = [];
  #api;
  #session;

  constructor({ rest, sockets, origin, changes, admin }) {
    this.rest = rest.replace(/\/$/, "");
    this.slash = sockets.endsWith("/") || new URL(sockets).pathname === "/socket.io";
    this.sockets = sockets.replace(/\/$/, "").replace(/^ws/, "http");
    Object.assign(this, { origin, changes: Number(changes) });
    this.management = new Management(this.sockets);
    this.#api = new Api(this.rest.replace(/\/api\/v1$/, ""), undefined);
    this.credentials = { email: admin, password: process.env.ADMIN_PASSWORD };
  }

  async begin() {
    const { tokens } = await this.#api.must(200, "POST", "/auth/admin/login", { body: this.credentials });
    this.#session = tokens.refreshToken;
    this.admin = tokens.accessToken;
    this.gateway = await checks.kindOfGateway(this);
  }

  /** Anything with `close()`. */
  keep(client) {
    this.#kept.push(client);
    // A probe that throws says so once, and not again by each of its sockets.
    if (!client.close) client.close = () => client.terminate();
    return client;
  }

  asAdmin(method, path, body) {
    return this.#api.must(200, method, path, { token: this.admin, body });
  }

  async account() {
    const { email, password } = form();
    const user = await this.#api.register({ email, password });
    // Before anything else can fail, so that it is deleted at the end.
    this.#users.push(user);
    const { tokens } = await this.#api.must(200, "POST", "/auth/user/login", { body: { email, password } });
    return { user, email, password, token: tokens.accessToken };
  }

  /** Deletes what was made, whatever happened, and says what could not be. */
  async end() {
    for (const client of this.#kept) client.close();
    const left = [];
    const gone = async (what, statuses, method, path, request) => {
      // One that cannot be deleted keeps none of the others from it.
      const { status } = await this.#api.call(method, path, request).catch(({ message }) => ({ status: message }));
      if (!statuses.includes(status)) left.push(`${what} (${status})`);
    };
    for (const { id } of this.#users) {
      await gone(`user ${id}`, [200, 404], "DELETE", `/users/${id}`, { token: this.admin });
    }
    if (this.#session) {
      const body = { refreshToken: this.#session };
      await gone("the administrator's session", [200], "POST", "/auth/admin/logout", { body });
    }
    return left;
  }
}

const { values } = parseArgs({
  options: {
    rest: { type: "string" },
    sockets: { type: "string" },
    admin: { type: "string" },
    origin: { type: "string", default: "http://localhost:4200" },
    changes: { type: "string", default: "100" },
    help: { type: "boolean", default: false },
  },
});
if (values.help || !values.rest || !values.sockets || !values.admin || !process.env.ADMIN_PASSWORD) {
  console.error(HELP);
  process.exit(values.help ? 0 : 2);
}

const stage = new Stage(values);
const report = new Report();
for (const signal of ["SIGINT", "SIGTERM"]) {
  process.once(signal, async () => {
    const left = await stage.end().catch((error) => [error.message]);
    console.error(left.length ? `It could not clean up: ${left.join(", ")}` : "Interrupted; nothing is left behind.");
    process.exit(1);
  });
}
let failure;
try {
  await stage.begin();
  const { preflights, officialClient, openPacket, silentAnswers, frameLimits, management, kick, latency } = checks;
  for (const check of [preflights, officialClient, openPacket, silentAnswers, frameLimits, management, kick, latency]) {
    await check(stage, report);
  }
  if (stage.gateway) for (const { what, assumed, where } of UNVERIFIED.filter(({ where }) => where)) report.unseen(what, assumed, where);
} catch (error) {
  failure = error;
}
const left = await stage.end().catch((error) => [error.message]);
console.log(`${report}`);
if (failure) console.error(`\nThe probe could not go on: ${failure.stack}`);
if (left.length) console.error(`\nIt could not clean up: ${left.join(", ")}`);
process.exit(failure || left.length || report.differs ? 1 : 0);
