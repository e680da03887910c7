// Two hours without the gateway: the page is right at once when it is back, and has not loaded the list.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";
import { ADMIN } from "../../e2e/harness/cloud.mjs";
import { onOneCloud } from "../harness/stage.mjs";

const LIST = /\/api\/v1\/users\?/;
const USERS = 150;
const AT_ONCE = 24;

/** How long the page may take until it shows everything, in milliseconds. */
const RIGHT_WITHIN = 5_000;

async function inParallel(amount, work) {
  let next = 0;
  const worker = async () => {
    while (next < amount) await work(next++);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}

/** The text of every row by its user's id, as it is on the page, by scrolling through all of them. */
function rows({ page }) {
  return page.evaluate(async () => {
    const view = document.querySelector(".view");
    const found = {};
    for (let top = 0; ; top += view.clientHeight - 100) {
      view.scrollTop = top;
      await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
      for (const row of view.querySelectorAll("[data-id]")) found[row.dataset.id] = row.textContent;
      if (top + view.clientHeight >= view.scrollHeight) break;
    }
    view.scrollTop = 0;
    return found;
  });
}

/** So many changes while the page is away: it is right within five seconds of its return, and has not loaded the list. */
async function missesNothing(changes, { open, api }, leave, comeBack) {
  const users = [];
  await inParallel(USERS, async () => users.push(await api().register()));
  const dashboard = await open();
  // Looking at every row takes scrolling; in a tall window it takes little of the five seconds.
  await dashboard.page.setViewportSize({ width: 1280, height: 4000 });
  await dashboard.page.clock.install();
  await dashboard.page.reload();
  await dashboard.login(ADMIN);
  await dashboard.ready();
  const lists = [];
  dashboard.page.on("request", (request) => LIST.test(request.url()) && lists.push(request.url()));

  await leave(dashboard);
  await dashboard.state("offline");
  await inParallel(changes - USERS - 10, (n) => api().patch(users[n % USERS].id, { fullName: `Change Number ${n}` }));
  const expected = new Map();
  await inParallel(USERS, async (n) => {
    const user = await api().patch(users[n].id, { fullName: `Last Change Of ${n}` });
    expected.set(user.id, user.fullName);
  });
  for (let n = 0; n < 5; n += 1) {
    await api().remove(users[n].id);
    expected.delete(users[n].id);
    const user = await api().register({ fullName: `New Meanwhile ${n}` });
    expected.set(user.id, user.fullName);
  }
  await dashboard.page.clock.fastForward("02:00:00");

  const back = await comeBack(dashboard);
  await dashboard.page.locator("[data-test=connection][data-recovered=true]").waitFor();
  const isRight = async () => {
    const shown = await rows(dashboard);
    const right = [...expected].every(([id, name]) => shown[id]?.includes(name));
    return right && [...expected.keys()].every((id) => id in shown) && !users.slice(0, 5).some(({ id }) => id in shown);
  };
  while (!(await isRight())) assert.ok(Date.now() - back < 60_000, "the page never shows what changed");
  const took = Date.now() - back;
  assert.ok(took < RIGHT_WITHIN, `it took ${took} ms`);
  assert.deepEqual(lists, []);
  await dashboard.page.locator("[data-test=connection]").getByText("nothing missed").waitFor();
}

const dataDir = mkdtempSync(join(tmpdir(), "dashboard-recovery-"));
after(() => rmSync(dataDir, { recursive: true, force: true }));

onOneCloud("recovery", { dataDir }, (claim) => {
  claim("after two hours without its network and 500 changes the page is right within five seconds, without the list", (stage) =>
    missesNothing(
      500,
      { open: stage.open, api: () => stage.api },
      (dashboard) => dashboard.page.context().setOffline(true),
      async (dashboard) => {
        await dashboard.page.context().setOffline(false);
        return Date.now();
      },
    ));

  claim("after two hours without the gateway and 5,000 changes the page is right within five seconds, without the list", (stage) => {
    const { cloud } = stage;
    return missesNothing(
      5_000,
      { open: stage.open, api: () => cloud.api },
      // Sockets are closed, and nobody is let in again; REST goes on.
      () => cloud.restart("--fault", "fail=connect:100%"),
      async () => {
        await cloud.restart();
        return Date.now();
      },
    );
  });

  claim("a page that lost its network before it had the list loads it when it is back", async ({ open, api }) => {
    const user = await api.register();
    const dashboard = await open();
    let lists = 0;
    await dashboard.page.route(LIST, (route) => {
      lists += 1;
      return lists > 1 ? route.continue() : undefined;
    });
    await dashboard.login(ADMIN);
    await dashboard.state("connected");
    await dashboard.until("asked for the list", () => document.querySelector("[data-test=loading]")?.textContent !== "");
    await dashboard.page.context().setOffline(true);
    await dashboard.state("offline");
    await dashboard.page.context().setOffline(false);
    await dashboard.ready();
    await dashboard.row(user).waitFor();
    assert.ok(lists > 1, "it was not loaded again");
  });
}, { usual: "gateway" });
