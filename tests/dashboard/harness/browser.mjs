// Chromium of the system's packages, driven by Playwright's core.
import { mkdir } from "node:fs/promises";
import { chromium } from "playwright-core";
import { complaint } from "../../e2e/harness/events.mjs";

/** Where pictures of the pages are kept. */
export const OUTPUT = new URL("../out/", import.meta.url).pathname;

/** `CHROMIUM` is what was found by whoever started the suites. */
export async function launch() {
  const executablePath = process.env.CHROMIUM;
  if (!executablePath) throw new Error("CHROMIUM must name the browser; `cargo test` sets it");
  await mkdir(OUTPUT, { recursive: true });
  // Root has no sandbox of its own in a container, and the pages are ours.
  return chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-dev-shm-usage"] });
}

/**
 * Everything that must not be, noted while a page is open: errors that are not meant, requests to other hosts than these, and
 * answers and events that the contract does not promise. An answer is compared with the `document` a little after it came, so
 * some complaints are promises.
 */
export function watch(page, { hosts, said, document }) {
  const complaints = [];
  page.on("pageerror", (error) => complaints.push(`${error.stack}`));
  page.on("console", (message) => {
    const text = message.text();
    // A refused request is said by the browser as well, and what it says of a lost network is meant to happen.
    const meant = [/Failed to load resource|ERR_|WebSocket connection/, ...said].some((pattern) => pattern.test(text));
    if (message.type() === "error" && !meant) complaints.push(text);
  });
  page.on("request", (request) => {
    const url = new URL(request.url());
    if (!["data:", "blob:"].includes(url.protocol) && !hosts.has(url.host)) complaints.push(`a request to ${url}`);
  });
  page.on("response", (response) => complaints.push(unpromised(response, document)));
  page.on("websocket", (socket) => listen(socket, complaints));
  return complaints;
}

/** Holds what a socket hears to the contract. One that asked for recovery, where there is any, is told offsets. */
function listen(socket, complaints) {
  const isGateway = new URL(socket.url()).pathname === "/dev";
  let recovers = false;
  socket.on("framesent", ({ payload }) => {
    recovers ||= isGateway && /^40\/users,.*"recovery":true/.test(`${payload}`);
  });
  socket.on("framereceived", ({ payload }) => complaints.push(...unheardOf(`${payload}`, recovers)));
}

/** What is wrong with an answer of REST by the document. */
async function unpromised(response, document) {
  const { pathname } = new URL(response.url());
  const method = response.request().method();
  if (!pathname.startsWith("/api/v1/") || method === "OPTIONS") return [];
  let seen;
  try {
    seen = { status: response.status(), headers: new Headers(await response.allHeaders()), body: JSON.parse(await response.text()) };
  } catch (error) {
    // The page did not see it either: it was closed, it did not wait, or it is of another origin.
    if (!(error instanceof SyntaxError)) return [];
    return `${method} ${pathname} is no JSON: ${error}`;
  }
  try {
    (await document()).mustKnow(method, pathname, seen);
    return [];
  } catch ({ message }) {
    return message;
  }
}

/** The packets with a payload of the contract: events, acknowledgements (of the one event a client emits), refusals. */
const PACKETS = [
  [/^42\/users,(\[.*)$/s, ([name, ...args], recovers) => complaint(name, args, recovers)],
  [/^43\/users,\d+(\[.*)$/s, (args) => complaint("auth.renew.acknowledged", args)],
  [/^44\/users,(\{.*)$/s, (payload) => complaint("CONNECT_ERROR", [payload])],
];

/** What is wrong with a frame by the contract of the events. */
function unheardOf(frame, recovers) {
  return PACKETS.flatMap(([pattern, check]) => {
    const [, json] = pattern.exec(frame) ?? [];
    return (json && check(JSON.parse(json), recovers)) ?? [];
  });
}
