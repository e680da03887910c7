// Chromium of the system's packages, driven by Playwright's core.
import { mkdir } from "node:fs/promises";
import { chromium } from "playwright-core";

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

/** Everything a page must not do, noted while it is open: errors that are not meant, and requests to other hosts than these. */
export function watch(page, { hosts, said }) {
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
  return complaints;
}
