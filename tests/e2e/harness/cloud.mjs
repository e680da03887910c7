// Starts and stops the program under test, one process per suite, on a port and a stack of its own.
import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { Api } from "./api.mjs";
import { within } from "./deadline.mjs";

/** Known to the suites, so that they can forge tokens with the right key and everything else wrong. */
export const TOKEN_SECRET = "the e2e suite signs its forgeries with this";

export const ADMIN = { email: "admin@e2e.example", password: "correct horse battery staple" };

/** Where its database is, and the end of what it prints at start. */
const DATABASE_URL = /DynamoDB\s+(http:\S+)/;
const LAST_WORDS = "Ctrl-C stops.";

const BASE_URL = /http:\/\/(?:127\.0\.0\.1|localhost):(\d+)/;

/** Without the settings of whoever runs the suites: they would change what is tested. */
function environment() {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith("LOCAL_DEV_"));
  return { ...Object.fromEntries(inherited), TOKEN_SECRET };
}

export class Cloud {
  #arguments;
  #process;
  /** The end of what the program printed since it was started. */
  output = "";

  /**
   * Options: `anonymous` ("allow" or "deny"), `origins` (comma-separated), `dataDir`, `database` (the URL of another one
   * than its own), `extra` (other arguments).
   */
  constructor({ anonymous = "allow", origins, dataDir, database, extra = [] } = {}) {
    const stack = ["--stack-name", `e2e-${randomUUID()}`];
    const endpoint = database ?? process.env.DYNAMODB_ENDPOINT;
    this.#arguments = [
      ["--host", "127.0.0.1"],
      ["--anonymous", anonymous],
      ["--admin-email", ADMIN.email],
      ["--admin-password", ADMIN.password],
      // Whether AWS makes a frame of an answer without a body is not known; no client may be hurt by it.
      ["--fault", "empty-answers"],
      // Suites ask for more in a moment than people do.
      ["--parameter", "RestRequestsPerSecond=1000000", "--parameter", "PasswordRequestsPerSecond=1000000"],
      origins ? ["--origins", origins] : [],
      // An external database keeps its rows by itself, under the name of the stack.
      endpoint ? ["--dynamodb-endpoint", endpoint, ...stack] : dataDir ? ["--data-dir", dataDir] : [],
      extra,
    ].flat();
  }

  /** Ends it, and starts it at the same port with these arguments as well, for this one life. */
  async restart(...also) {
    await this.stop();
    return this.start(this.port, also);
  }

  /** Resolves when the program answers; `port` 0 lets it choose, and a restart gets the same port again. */
  async start(port = this.port ?? 0, also = []) {
    const program = process.env.CLOUD_BIN;
    if (!program) throw new Error("CLOUD_BIN must name the program under test; `cargo test` sets it");
    const child = spawn(program, ["--port", `${port}`, ...this.#arguments, ...also], {
      env: environment(),
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#process = child;
    this.output = "";
    const killIt = () => child.kill("SIGKILL");
    process.once("exit", killIt);
    child.once("exit", () => process.removeListener("exit", killIt));
    const listening = new Promise((resolve, reject) => {
      child.once("error", reject);
      child.once("exit", (code) => reject(new Error(`the program ended with ${code}:\n${this.output}`)));
      let banner = "";
      child.stdout.on("data", (chunk) => {
        banner += chunk;
        const [, port] = BASE_URL.exec(banner) ?? [];
        // Only once all is said: a port may arrive in two pieces.
        if (port && banner.includes(LAST_WORDS)) {
          this.dynamodb = DATABASE_URL.exec(banner)?.[1];
          resolve(Number(port));
        }
      });
    });
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8");
      stream.on("data", (chunk) => (this.output = (this.output + chunk).slice(-20_000)));
    }
    try {
      this.port = await within(listening, () => `the program printed no base URL:\n${this.output}`, 60_000);
    } catch (error) {
      child.kill("SIGKILL");
      throw error;
    }
    this.base = `http://127.0.0.1:${this.port}`;
    this.api = new Api(this.base, ADMIN);
    return this;
  }

  /** Ends it as a lost machine does. */
  async kill() {
    const exit = once(this.#process, "exit");
    this.#process.kill("SIGKILL");
    await exit;
  }

  /** Asks it to stop and insists that it does so cleanly. */
  async stop() {
    const child = this.#process;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    child.kill("SIGINT");
    try {
      const [code, signal] = await within(once(child, "exit"), () => "the program ignored SIGINT");
      if (code !== 0) throw new Error(`the program ended with ${code ?? signal}:\n${this.output}`);
    } finally {
      child.kill("SIGKILL");
    }
  }
}
