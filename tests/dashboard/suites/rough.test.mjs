// What happens to browsers: reloads, lost networks, closed laptops, tokens that end, servers that restart, other origins.
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtemp, readFile, readdir, rm } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe } from "node:test";
import { setTimeout } from "node:timers/promises";
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { ADMIN } from "../../e2e/harness/cloud.mjs";
import { within } from "../../e2e/harness/deadline.mjs";
import { forge } from "../../e2e/harness/tokens.mjs";
import { onBothEntrances, onOneCloud } from "../harness/stage.mjs";

/** What the service says when it cannot. */
const FAILURE = {
  status: 500,
  headers: { "x-request-id": "of a failure" },
  json: { statusCode: 500, message: "INTERNAL_ERROR", error: "Internal Server Error" },
};

const LIST = /\/api\/v1\/users\?/;

const folder = await mkdtemp(join(tmpdir(), "dashboard-"));
after(() => rm(folder, { recursive: true }));
const listed = await serve();
const foreign = await serve();
after(() => Promise.all([listed.close(), foreign.close()]));

/** A minute takes a minute, so its two claims wait beside all the others, which run one after the other. */
describe("a rough day", { concurrency: 2 }, () => {
  onBothEntrances("a minute without a network", {}, aMinuteAway, { concurrency: 2 });
  onBothEntrances("what comes and goes", {}, comingAndGoing);
  onOneCloud("a socket that is not recovered", {}, anOldList);
  onOneCloud("a server that restarts", { dataDir: folder }, aRestart);
  onOneCloud("other origins", { origins: listed.origin }, otherOrigins);
});

function aMinuteAway(claim) {
  claim("what changed meanwhile is there when it is back", async ({ admin, api }) => {
    const [renamed, removed, banned] = [await api.register(), await api.register(), await api.register()];
    const dashboard = await admin();
    await dashboard.row(removed).waitFor();
    await dashboard.page.context().setOffline(true);
    const over = setTimeout(60_000);
    await dashboard.state("offline");
    await api.patch(renamed.id, { fullName: "While you were away" });
    await api.remove(removed.id);
    const created = await api.register();
    await over;
    await dashboard.state("offline");
    await api.ban(banned.id);
    await dashboard.page.context().setOffline(false);
    await dashboard.ready();
    await dashboard.row(renamed).getByText("While you were away").waitFor();
    await dashboard.row(banned).locator(".badge.banned").waitFor();
    await dashboard.row(removed).waitFor({ state: "detached" });
    await dashboard.row(created).waitFor();
    // And it goes on.
    await api.patch(created.id, { fullName: "Heard at once again" });
    await dashboard.row(created).locator("[data-test=flash].updated").waitFor();
  });
}

function comingAndGoing(claim) {
  claim("reload, back and forward keep the page, the session and the table", async ({ admin, api }) => {
    const user = await api.register();
    const dashboard = await admin();
    await dashboard.openUser(user);
    const title = dashboard.page.locator("#user-title");
    await title.getByText(user.fullName).waitFor();
    await dashboard.page.reload();
    await title.getByText(user.fullName).waitFor();
    await dashboard.page.goBack();
    await title.waitFor({ state: "detached" });
    await dashboard.row(user).waitFor();
    await dashboard.page.getByRole("link", { name: "My account" }).click();
    await dashboard.page.locator("form.login").waitFor();
    await dashboard.page.goBack();
    await dashboard.ready();
    await dashboard.row(user).waitFor();
    await dashboard.page.goForward();
    await dashboard.page.locator("form.login").waitFor();
  });

  claim("an answer that is older than events overwrites none of them", async ({ admin, api }) => {
    const [renamed, removed] = [await api.register(), await api.register()];
    const dashboard = await admin();
    let created;
    await dashboard.page.route(LIST, async (route) => {
      const old = await route.fetch();
      await api.patch(renamed.id, { fullName: "Newer than the list" });
      await api.remove(removed.id);
      created ??= await api.register({ fullName: "Newer than all" });
      // Only when all events are here the answer is.
      await dashboard.page.locator("li[data-event='users.created']").getByText("Newer than all").waitFor();
      await route.fulfill({ response: old });
    });
    await dashboard.page.reload();
    await dashboard.ready();
    await dashboard.row(renamed).getByText("Newer than the list").waitFor();
    assert.equal(await dashboard.row(created).count(), 1);
    assert.equal(await dashboard.row(removed).count(), 0);
  });

  claim("a laptop that was closed for two hours comes back logged in, with fresh tokens and the table", async ({ open, api }) => {
    const user = await api.register();
    const dashboard = await open();
    await dashboard.page.clock.install();
    await dashboard.page.reload();
    await dashboard.login(ADMIN);
    await dashboard.ready();
    const before = await tokens(dashboard);
    // Timers that were due meanwhile fire once, all at the same moment.
    await dashboard.page.clock.fastForward("02:00:00");
    await dashboard.until("fresh tokens", (old) => JSON.parse(localStorage["moien.session.admin"]).refreshToken !== old, before.refreshToken);
    await dashboard.state("connected");
    await api.patch(user.id, { fullName: "After the lid opened" });
    await dashboard.row(user).getByText("After the lid opened").waitFor();
  });

  claim("a token the service does not take any more is replaced, and nobody notices", async ({ admin, api }) => {
    const user = await api.register();
    const dashboard = await admin();
    // Expired for the service, but not by the clock of this machine.
    const now = Math.floor(Date.now() / 1000);
    await keep(dashboard, { accessToken: forge("admin", { role: "admin", iat: now - 1000, exp: now - 100 }), expiresAt: Date.now() + 600_000 });
    await dashboard.page.reload();
    await dashboard.ready();
    await dashboard.row(user).waitFor();
    assert.equal(await dashboard.page.locator("form.login").count(), 0);
  });

  claim("a socket that is refused says why", async ({ admin }) => {
    const dashboard = await admin();
    const old = forge("admin", { role: "admin", iat: 1000, exp: 2000 });
    const tokens = { accessToken: old, refreshToken: "of a stranger", expiresIn: 900 };
    const body = { ok: true, user: { id: "admin", email: ADMIN.email, role: "admin" }, tokens };
    await dashboard.page.route(/admin\/refresh$/, (route) => route.fulfill({ headers: { "x-request-id": "of a refresh" }, json: body }));
    await keep(dashboard, { accessToken: old.replace(/^e/, "f") });
    await dashboard.page.reload();
    await dashboard.state("refused");
    await dashboard.page.getByText("Refused: Please sign in again.").waitFor();
  });

  claim("a socket is renewed in time and stays", async ({ admin, api }) => {
    const user = await api.register();
    const dashboard = await admin();
    const now = Math.floor(Date.now() / 1000);
    await keep(dashboard, { accessToken: forge("admin", { role: "admin", iat: now, exp: now + 170 }), expiresAt: Date.now() + 182_000 });
    const frames = [];
    const renewed = new Promise((resolve) =>
      dashboard.page.on("websocket", (socket) => {
        socket.on("framesent", ({ payload }) => frames.push(`> ${payload}`));
        socket.on("framereceived", ({ payload }) => /^43\/users,/.test(payload) && resolve(payload));
      }),
    );
    await dashboard.page.reload();
    await dashboard.ready();
    assert.match(await within(renewed, () => `no acknowledgement:\n${frames.join("\n")}`), /"ok":true/);
    assert.ok(frames.some((frame) => frame.startsWith("> 42/users,") && frame.includes('"auth.renew"')), frames.join("\n"));
    assert.equal(frames.filter((frame) => frame.startsWith("> 40/users,")).length, 1, "it did not connect anew");
    await api.patch(user.id, { fullName: "Heard after renewal" });
    await dashboard.row(user).getByText("Heard after renewal").waitFor();
  });

  claim("a refresh that the service cannot answer for a moment delays the socket and does not end it", async ({ admin, api }) => {
    const user = await api.register();
    const dashboard = await admin();
    let failures = 2;
    await dashboard.page.route(/admin\/refresh$/, (route) =>
      failures-- > 0 ? route.fulfill(FAILURE) : route.continue(),
    );
    await keep(dashboard, { expiresAt: Date.now() });
    await dashboard.page.reload();
    await dashboard.ready();
    await dashboard.row(user).waitFor();
  });

  claim("a user who was banned while the network was away is told when it is back", async ({ open, api }) => {
    const { user, email, password } = await api.account();
    const own = await open("#/account");
    await own.login({ email, password });
    await own.state("connected");
    await own.page.locator("[data-test=account]").waitFor();
    await own.page.context().setOffline(true);
    await own.state("offline");
    await api.ban(user.id);
    await own.page.context().setOffline(false);
    await own.page.locator("[data-test=out]").getByText("Your account was banned").waitFor();
    assert.equal(await own.page.locator("[data-test=account]").count(), 0);
  });

  claim("a session that was ended elsewhere ends on this page, in words", async ({ admin, cloud }) => {
    const dashboard = await admin();
    const { refreshToken } = await tokens(dashboard);
    await fetch(`${cloud.base}/api/v1/auth/admin/logout`, {
      method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ refreshToken }),
    });
    await keep(dashboard, { expiresAt: Date.now() });
    await dashboard.page.reload();
    await dashboard.page.getByText("Your session has ended. Please sign in again.").waitFor();
  });

  claim("a wrong password is said where it was typed, and logging out forgets everything", async ({ open }) => {
    const dashboard = await open();
    await dashboard.login({ ...ADMIN, password: "not this one" });
    await dashboard.page.locator("form.login .problem").getByText("E-mail address or password is wrong.").waitFor();
    await dashboard.login(ADMIN);
    await dashboard.ready();
    await dashboard.page.locator("[data-test=logout]").click();
    await dashboard.page.locator("form.login").waitFor();
    assert.equal(await dashboard.page.evaluate(() => localStorage["moien.session.admin"]), undefined);
  });
}

/** Where a socket is recovered, which is so at /dev, the list is not loaded again. */
function anOldList(claim) {
  claim("a list that could not be loaded again is said to be old, and loaded when it can be", async ({ admin, api }) => {
    const user = await api.register();
    const dashboard = await admin();
    let fails = true;
    await dashboard.page.route(LIST, (route) =>
      fails ? route.fulfill(FAILURE) : route.continue(),
    );
    await dashboard.page.context().setOffline(true);
    await dashboard.state("offline");
    await dashboard.page.context().setOffline(false);
    await dashboard.state("connected");
    const alert = dashboard.page.getByRole("alert").getByText("The list could not be loaded");
    await alert.waitFor();
    await dashboard.row(user).waitFor();
    fails = false;
    await alert.waitFor({ state: "detached" });
    await dashboard.loaded();
  });
}

function aRestart(claim) {
  claim("the page says so, comes back and shows what changed", async ({ admin, api, cloud }) => {
    const user = await api.register();
    const dashboard = await admin();
    await cloud.stop();
    await dashboard.state("offline");
    await cloud.start();
    await cloud.api.patch(user.id, { fullName: "After the restart" });
    await dashboard.state("connected");
    await dashboard.row(user).getByText("After the restart").waitFor();
  });
}

function otherOrigins(claim) {
  /** The pages, built for this service and served by somebody else. */
  const elsewhere = async (stage, server, variables) => {
    const built = await mkdtemp(join(tmpdir(), "dashboard-elsewhere-"));
    stage.allow(new URL(server.origin).host, /CORS policy/);
    try {
      await promisify(execFile)("npx", ["vite", "build", "--outDir", built, "--logLevel", "error"], {
        cwd: new URL("../../../local-dev/dashboard/", import.meta.url),
        env: { ...process.env, VITE_API_URL: stage.cloud.base, ...variables },
      });
      server.files.set("/", await readFile(join(built, "index.html")));
      for (const name of await readdir(join(built, "assets"))) {
        server.files.set(`/assets/${name}`, await readFile(join(built, "assets", name)));
      }
      return await stage.open("#/users", { url: server.origin });
    } finally {
      await rm(built, { recursive: true });
    }
  };

  claim("a page on the list, told by a variable where the service is, works", async (stage) => {
    const user = await stage.api.register();
    const dashboard = await elsewhere(stage, listed);
    await dashboard.login(ADMIN);
    await dashboard.ready();
    await dashboard.row(user).waitFor();
  });

  claim("a page on the list, told where API Gateway is, works as with a deployed stack", async (stage) => {
    const user = await stage.api.register();
    const dashboard = await elsewhere(stage, listed, { VITE_SOCKET_URL: stage.cloud.base, VITE_SOCKET_PATH: "/dev" });
    await dashboard.login(ADMIN);
    await dashboard.ready();
    await dashboard.page.getByText("Connected · /dev · websocket").waitFor();
    assert.equal(await dashboard.page.locator("[data-test=entrance]").count(), 0, "there is one way in");
    await stage.api.ban(user.id);
    await dashboard.row(user).locator(".badge.banned").waitFor();
  });

  claim("a foreign page gets neither an answer nor an event, and says so", async (stage) => {
    const dashboard = await elsewhere(stage, foreign);
    await dashboard.login(ADMIN);
    await dashboard.page.getByText("The service does not answer, or not to pages of this address.").waitFor();
    const { tokens } = await stage.api.must(200, "POST", "/auth/admin/login", { body: ADMIN });
    const kept = { id: "admin", email: ADMIN.email, ...tokens, expiresAt: Date.now() + 600_000 };
    await dashboard.page.evaluate((kept) => localStorage.setItem("moien.session.admin", JSON.stringify(kept)), kept);
    const refused = dashboard.page.waitForEvent("console", (message) => /WebSocket connection.*403/.test(message.text()));
    await dashboard.page.reload();
    await refused;
    await dashboard.state("offline");
    await dashboard.page.getByRole("alert").getByText("The service does not answer, or not to pages of this address.").waitFor();
  });
}

/** A server of files on a port of its own, and so another origin. */
async function serve() {
  const kinds = { html: "text/html", js: "text/javascript", css: "text/css", svg: "image/svg+xml" };
  const files = new Map();
  const server = createServer(({ url }, answer) => {
    const file = files.get(url);
    const kind = kinds[url.split(".").at(-1)] ?? kinds.html;
    answer.writeHead(file ? 200 : 404, { "content-type": kind }).end(file);
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  return { files, origin: `http://127.0.0.1:${server.address().port}`, close: () => server.close() };
}

const tokens = ({ page }) => page.evaluate(() => JSON.parse(localStorage["moien.session.admin"]));

/** Changes what is kept of the session, for the next time the page is loaded. */
const keep = ({ page }, changes) =>
  page.evaluate((changes) => {
    const key = "moien.session.admin";
    localStorage[key] = JSON.stringify({ ...JSON.parse(localStorage[key]), ...changes });
  }, changes);
