// What the probe does to a stack, and what it expects. Nothing here knows whether it is AWS or local-dev; `stage.gateway`
// says whether the sockets are API Gateway's, real or imitated, or socketioxide's.
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { io } from "socket.io-client";
import WebSocket from "ws";

const KILO = 1024;

/** One preflight, as a browser sends it. */
async function preflight(stage, origin) {
  const headers = {
    origin,
    "access-control-request-method": "PATCH",
    "access-control-request-headers": "authorization,content-type,traceparent",
  };
  const answer = await fetch(`${stage.rest}/users/${randomUUID()}`, { method: "OPTIONS", headers });
  await answer.text();
  return answer;
}

export async function preflights(stage, report) {
  const listed = await preflight(stage, stage.origin);
  const header = (name) => listed.headers.get(`access-control-allow-${name}`)?.toLowerCase() ?? "";
  report.add("preflight of a listed origin: allowed", stage.origin, header("origin"));
  report.add("preflight of a listed origin: status", "200", listed.status, { ok: listed.status === 200, matters: !listed.ok });
  const all = header("methods").includes("patch") && header("headers").includes("traceparent");
  report.add("preflight of a listed origin: method and headers", "allowed", all ? "allowed" : `${header("methods")} / ${header("headers")}`);
  const foreign = await preflight(stage, "https://unlisted.probe.example");
  report.add("preflight of an unlisted origin: allowed", "nobody", foreign.headers.get("access-control-allow-origin") ?? "nobody");
  // A method no route takes is answered by the gateway itself.
  const nowhere = await fetch(`${stage.rest}/health`, { method: "PUT" });
  report.add("text of the gateway's own 404", '404 {"message":"Not Found"}', `${nowhere.status} ${await nowhere.text()}`, { matters: false });
}

/** A plain WebSocket, with what it said and how it ended. */
class Wire {
  frames = [];
  #wake = () => {};

  constructor(stage, { slash = stage.slash, origin, protocols = [] } = {}) {
    const url = `${stage.sockets.replace(/^http/, "ws")}${slash ? "/" : ""}?EIO=4&transport=websocket`;
    this.began = performance.now();
    this.socket = stage.keep(new WebSocket(url, protocols, { ...(origin && { origin }) }));
    this.socket.on("upgrade", () => (this.upgraded = performance.now()));
    this.socket.on("message", (data) => this.#note(() => this.frames.push(`${data}`)));
    this.socket.on("error", (error) => this.#note(() => (this.error = error.message)));
    this.socket.on("close", (code, reason) => this.#note(() => (this.ended = { code, reason: `${reason}` })));
  }

  #note(what) {
    what();
    this.#wake();
  }

  /** The first result of `find` that is not undefined, or `undefined` when the time is over. */
  async until(find, timeout = 30_000) {
    const end = performance.now() + timeout;
    for (;;) {
      const found = find();
      if (found !== undefined) return found;
      const left = end - performance.now();
      if (left <= 0) return undefined;
      // A timer that keeps the program alive: after a refused handshake nothing else does, and it would end unsaid.
      await Promise.race([new Promise((resolve) => (this.#wake = resolve)), sleep(left)]);
    }
  }

  frame(beginning, timeout) {
    return this.until(() => this.frames.find((frame) => frame.startsWith(beginning)), timeout);
  }

  async open() {
    const over = () => (this.error !== undefined || this.ended ? "" : undefined);
    const frame = await this.until(() => this.frames.find((text) => text.startsWith("0{")) ?? over());
    if (!frame) throw new Error(`no open packet: ${this.error ?? JSON.stringify(this.ended ?? this.frames)}`);
    this.opened = performance.now();
    this.session = JSON.parse(frame.slice(1));
    return this;
  }

  async join(token) {
    await this.open();
    this.socket.send(`40/users,${JSON.stringify({ token })}`);
    const answer = await this.until(() => this.frames.find((frame) => /^4[04]\/users,/.test(frame)));
    if (!answer?.startsWith("40")) throw new Error(`CONNECT was answered ${answer}`);
    return this;
  }

  close() {
    this.socket.terminate();
  }

  /** The code of the close that follows, or "stays". */
  async end(timeout = 3_000) {
    return (await this.until(() => this.ended?.code, timeout)) ?? "stays";
  }
}

/** Which of the two the sockets are: the functions announce eight minutes between pings, socketioxide half a minute. */
export async function kindOfGateway(stage) {
  const wire = await new Wire(stage).open();
  wire.close();
  return wire.session.pingInterval > 60_000;
}

function official(stage, token, options) {
  const { origin, pathname } = new URL(stage.sockets.replace(/^ws/, "http"));
  const settings = { path: pathname, transports: ["websocket"], addTrailingSlash: stage.slash, forceNew: true, reconnection: false };
  return stage.keep(io(`${origin}/users`, { ...settings, auth: { token }, ...options }));
}

function outcome(socket, timeout = 30_000) {
  return new Promise((resolve) => {
    socket.once("connect", () => resolve("connects"));
    socket.once("connect_error", (error) => resolve(error.message));
    setTimeout(() => resolve("nothing"), timeout);
  });
}

export async function officialClient(stage, report) {
  for (const addTrailingSlash of [false, true]) {
    if (!stage.gateway && !addTrailingSlash) continue;
    const what = `the official client ${addTrailingSlash ? "with" : "without"} a slash behind the path`;
    report.add(what, "connects", await outcome(official(stage, stage.admin, { addTrailingSlash })));
  }
  report.add("a token that proves nothing", "UNAUTHENTICATED", await outcome(official(stage, "nothing")));
  const own = `${new URL(stage.sockets).protocol.replace(/^ws/, "http")}//${new URL(stage.sockets).host}`;
  for (const [whose, origin, expected] of [["its own address", own, "opens"], ["an unlisted page", "https://unlisted.probe.example", "403"]]) {
    const wire = new Wire(stage, { origin });
    const seen = await wire.until(() => (wire.upgraded ? "opens" : wire.error?.match(/\d{3}/)?.[0] ?? wire.error));
    report.add(`Origin: ${whose}`, expected, seen);
    wire.close();
  }
  const wire = new Wire(stage, { protocols: ["moien", "other"] });
  const chosen = await wire.until(() => (wire.upgraded ? wire.socket.protocol : wire.error));
  report.add("of the subprotocols a client offers, it gets back", "moien", chosen || "none");
  wire.close();
}

/** What needs no answer must not end the connection, whatever the gateway makes of an answer without a body. */
export async function silentAnswers(stage, report) {
  const wire = await new Wire(stage).join(stage.admin);
  for (const [what, frame] of [["a pong", "3"], ["an event nobody listens to", '42/users,["probe"]'], ["leaving the namespace", "41/users,"]]) {
    // socketioxide has a heartbeat of its own and looks at pongs itself.
    const before = wire.frames.length;
    wire.socket.send(frame);
    report.add(`after ${what} the connection`, "stays", await wire.end());
    const heard = wire.frames.slice(before).filter((text) => text !== "2" && !text.startsWith("42"));
    report.add(`after ${what} the client hears`, "nothing", heard.length ? JSON.stringify(heard) : "nothing");
  }
  wire.socket.send(`40/users,${JSON.stringify({ token: stage.admin })}`);
  const again = await wire.until(() => wire.frames.filter((text) => text.startsWith("40/users,")).length === 2 || undefined);
  report.add("joining again after all of these", "joined", again ? "joined" : "no answer");
  wire.close();
}

/** How soon a connection takes frames: the open packet is tried until the gateway stops answering 410. */
export async function openPacket(stage, report) {
  const times = [];
  for (let count = 0; count < 20; count += 1) {
    const wire = await new Wire(stage).open();
    times.push(wire.opened - wire.upgraded);
    wire.close();
  }
  const { median, worst } = summary(times);
  const seen = `${median} ms, at most ${worst} ms`;
  report.add("from the 101 to the open packet (410 until then)", "below 5,000 ms", seen, { ok: worst < 5_000 });
}

export async function frameLimits(stage, report) {
  if (!stage.gateway) return;
  const binary = await new Wire(stage).join(stage.admin);
  binary.socket.send(Buffer.from([1, 2, 3]));
  report.add("a binary frame", 1003, await binary.end(10_000));
  const event = (length) => `42/users,["${"x".repeat(length - '42/users,[""]'.length)}"]`;
  for (const [what, length, expected] of [["a frame of 32 KB", 32 * KILO, "stays"], ["a frame of 32 KB and a byte", 32 * KILO + 1, 1009]]) {
    const wire = await new Wire(stage).join(stage.admin);
    wire.socket.send(event(length));
    report.add(what, expected, await wire.end(expected === "stays" ? 3_000 : 10_000));
    wire.close();
  }
  const wire = await new Wire(stage).join(stage.admin);
  for (let part = 0; part < 5; part += 1) {
    wire.socket.send((part === 0 ? '42/users,["' : "") + "x".repeat(30 * KILO), { fin: part === 4 });
  }
  report.add("a message of 150 KB in smaller frames", 1009, await wire.end(10_000));
}

/** What `@connections` answers. The id of a connection is the `sid` of its open packet. */
export async function management(stage, report) {
  const { management: api } = stage;
  if (!stage.gateway) return;
  report.add("HTTP version of @connections", "http/1.1", await api.httpVersion(), { matters: false });
  if (!api.isReachable) {
    const needs = "needs AWS credentials that may execute-api:ManageConnections";
    report.unseen("close code of DELETE", "1000", needs);
    report.unseen("a client that does not read", "429 LimitExceededException", needs);
    report.unseen("other answers of @connections", "as in local-dev/emulator/README.md", needs);
    return;
  }
  const wire = await new Wire(stage).join(stage.admin);
  const id = wire.session.sid;
  const text = ({ status, type }) => [status, type].filter(Boolean).join(" ");
  report.add("POST of 128 KB", "200", text(await api.call("POST", id, `6${"x".repeat(128 * KILO - 1)}`)));
  report.add("POST of 128 KB and a byte", "413 PayloadTooLargeException", text(await api.call("POST", id, `6${"x".repeat(128 * KILO)}`)));
  report.add("a malformed id", "400 BadRequestException", text(await api.call("POST", "x", "6")));
  wire.socket.pause();
  let throttled;
  let posts = 0;
  while (posts < 400 && !(throttled && throttled.status !== 200)) {
    posts += 1;
    throttled = await api.call("POST", id, `6${"x".repeat(128 * KILO - 1)}`);
  }
  report.add("a client that does not read", "429 LimitExceededException", `${text(throttled)} after ${posts} posts of 128 KB`, {
    ok: throttled.status === 429 && throttled.type === "LimitExceededException",
    // A gateway that takes everything is no harm; one that says it otherwise is.
    matters: throttled.status !== 200,
  });
  wire.socket.resume();
  const other = await new Wire(stage).join(stage.admin);
  report.add("DELETE", "204", text(await api.call("DELETE", other.session.sid)));
  const code = await other.end(10_000);
  report.add("close code of DELETE", 1000, code, { matters: code === "stays" });
  const gone = await api.call("POST", other.session.sid, "6");
  report.add("POST to a connection that has ended", "410 GoneException", text(gone));
  report.add("body of that answer", "empty", gone.body || "empty", { matters: false });
  wire.close();
}

/** A ban reaches the user's socket with its reason, and the socket stays away. */
export async function kick(stage, report) {
  const { user, token } = await stage.account();
  const socket = official(stage, token, { reconnection: true });
  report.add("a user connects", "connects", await outcome(socket));
  const [kind, reason] = await new Promise((resolve) => {
    const heard = [];
    socket.once("account.banned", ({ kind }) => heard.push(kind));
    socket.once("disconnect", (reason) => resolve([heard[0] ?? "nothing", reason]));
    setTimeout(() => resolve([heard[0] ?? "nothing", "stays"]), 30_000);
    stage.asAdmin("POST", `/users/${user.id}/ban`, { reason: "a probe" }).catch((error) => resolve([error.message, "stays"]));
  });
  report.add("a ban is told to the user as", "banned", kind);
  report.add("then the client reports", "io server disconnect", reason);
  report.add("and connecting again is refused with", "ACCOUNT_BANNED", await outcome(official(stage, token)));
}

/** From the request to the frame, as an administrator's dashboard has it. */
export async function latency(stage, report) {
  const { user } = await stage.account();
  const wire = await new Wire(stage).join(stage.admin);
  const times = [];
  for (let count = 0; count < stage.changes; count += 1) {
    const name = `Probe Number ${randomUUID()}`;
    const began = performance.now();
    const [frame] = await Promise.all([
      wire.until(() => wire.frames.find((frame) => frame.startsWith('42/users,["users.updated"') && frame.includes(name))),
      stage.asAdmin("PATCH", `/users/${user.id}`, { fullName: name }),
    ]);
    if (!frame) break;
    times.push(performance.now() - began);
  }
  wire.close();
  const { median, worst } = summary(times);
  const seen = `${times.length}, ${median} ms at the median, at most ${worst} ms`;
  report.add(`changes of ${stage.changes} that were heard`, stage.changes, seen, { ok: times.length === stage.changes });
}

function summary(times) {
  const sorted = [...times].sort((one, other) => one - other);
  return { median: Math.round(sorted[Math.floor(sorted.length / 2)]), worst: Math.round(sorted.at(-1)) };
}
