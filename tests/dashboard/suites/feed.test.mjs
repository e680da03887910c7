// The first five minutes: the table of users in the administrator's browser follows the events, by both entrances.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { promisify } from "node:util";
import { form } from "../../e2e/harness/api.mjs";
import { onBothEntrances } from "../harness/stage.mjs";

onBothEntrances("the table", {}, (claim) => {
  claim("a registration by curl appears on top, once, and flashes", async ({ admin, api, cloud }) => {
    await api.register();
    const dashboard = await admin();
    const { fullName, ...rest } = form({ fullName: "Grace Brewster Hopper" });
    const answer = await promisify(execFile)("curl", [
      "-s", `${cloud.base}/api/v1/users/register`, "-H", "content-type: application/json", "-d", JSON.stringify({ fullName, ...rest }),
    ]);
    const { user } = JSON.parse(answer.stdout);
    const row = dashboard.row(user);
    await row.locator("[data-test=flash].created").waitFor();
    assert.equal(await row.getAttribute("data-index"), "0");
    assert.equal(await row.count(), 1);
    assert.ok((await row.textContent()).includes(fullName));
    await dashboard.page.locator("li[data-event='users.created']").first().waitFor();
  });

  claim("a change replaces the row where it is, and flashes", async ({ admin, api }) => {
    const user = await api.register();
    await api.register();
    const dashboard = await admin();
    const before = await dashboard.ids();
    await api.patch(user.id, { fullName: "Sara Ahmadi Changed" });
    await dashboard.row(user).locator("[data-test=flash].updated").waitFor();
    await dashboard.row(user).getByText("Sara Ahmadi Changed").waitFor();
    assert.deepEqual(await dashboard.ids(), before);
  });

  claim("a delete removes the row", async ({ admin, api }) => {
    const user = await api.register();
    const dashboard = await admin();
    await dashboard.row(user).waitFor();
    await api.remove(user.id);
    await dashboard.row(user).waitFor({ state: "detached" });
    assert.ok(!(await dashboard.ids()).includes(user.id));
  });

  claim("one bans, the other's page follows, and the banned user's page says so", async ({ admin, open, api }) => {
    const { user, email, password } = await api.account();
    const [one, other, own] = [await admin(), await admin(), await open("#/account")];
    await own.login({ email, password });
    await own.state("connected");
    await own.page.locator("[data-test=account]").getByText(email).waitFor();
    const dialog = await one.openUser(user);
    await dialog.locator("textarea[name=reason]").fill("Never pays.");
    await dialog.getByRole("button", { name: "Ban", exact: true }).click();
    await other.row(user).locator(".badge.banned").waitFor();
    await one.row(user).locator(".badge.banned").waitFor();
    const said = own.page.locator("[data-test=out]");
    await said.getByText("Your account has been disabled by an administrator.").waitFor();
    assert.ok(!(await said.textContent()).includes("Never pays."));
    // From the click to the frame, in the timeline of who clicked and of nobody else.
    await one.page.locator("li[data-event='users.updated']").getByText(/\d ms after the click/).waitFor();
    assert.equal(await other.page.getByText(/ms after the click/).count(), 0);
    await dialog.getByRole("button", { name: "Lift the ban" }).click();
    await other.row(user).locator(".badge.active").waitFor();
  });

  claim("a user sees the account change, and a delete throws the user out in words", async ({ open, api }) => {
    const { user, email, password } = await api.account();
    const own = await open("#/account");
    await own.login({ email, password });
    await own.state("connected");
    const account = own.page.locator("[data-test=account]");
    await api.patch(user.id, { fullName: "Changed by an administrator" });
    await account.locator("h2").getByText("Changed by an administrator").waitFor();
    await account.locator("input[name=fullName]").fill("Changed by the user");
    await account.getByRole("button", { name: "Save name" }).click();
    await account.locator("h2").getByText("Changed by the user").waitFor();
    await api.remove(user.id);
    await own.page.locator("[data-test=out]").getByText("Your account was deleted").waitFor();
    await own.page.getByRole("button", { name: "Back to sign in" }).click();
    await own.page.locator("form.login").waitFor();
  });

  claim("an answer about oneself that a later one has overtaken changes nothing", async ({ open, api }) => {
    const { user, email, password } = await api.account();
    const own = await open("#/account");
    await own.login({ email, password });
    const name = own.page.locator("[data-test=account] h2");
    await name.getByText(user.fullName).waitFor();
    let first, release;
    const released = new Promise((resolve) => (release = resolve));
    await new Promise((held) =>
      own.page.route(/auth\/me$/, async (route) => {
        if (first) return route.continue();
        first = route.request();
        const response = await route.fetch();
        held();
        await released;
        await route.fulfill({ response });
      }),
    );
    await api.patch(user.id, { fullName: "Newer than the answer" });
    await name.getByText("Newer than the answer").waitFor();
    release();
    await (await first.response()).finished();
    await own.frames(2);
    assert.equal(await name.textContent(), "Newer than the answer");
  });

  claim("a ban is said in every tab of the user, also after a reload, until it was read", async ({ open, api }) => {
    const { user, email, password } = await api.account();
    const tabs = [await open("#/account")];
    await tabs[0].login({ email, password });
    for (let n = 0; n < 3; n++) tabs.push(await tabs[0].tab());
    for (const tab of tabs) await tab.state("connected");
    await api.ban(user.id);
    const said = ({ page }) => page.locator("[data-test=out]").getByText("Your account has been disabled by an administrator.");
    for (const tab of tabs) await said(tab).waitFor();
    await tabs[1].page.reload();
    await said(tabs[1]).waitFor();
    await tabs[1].page.getByRole("button", { name: "Back to sign in" }).click();
    for (const tab of tabs) await tab.page.locator("form.login").waitFor();
  });

  claim("what the service refused is no click that somebody else's change comes after", async ({ admin, api }) => {
    const user = await api.register();
    const dashboard = await admin();
    const dialog = await dashboard.openUser(user);
    const name = dialog.getByRole("form", { name: "Name" });
    await name.locator("input").fill("Two words");
    await name.getByRole("button").click();
    await name.locator(".problem").waitFor();
    await api.patch(user.id, { fullName: "By somebody else" });
    const entry = dashboard.page.locator("li[data-event='users.updated']");
    await entry.getByText("By somebody else").waitFor();
    assert.doesNotMatch(await entry.textContent(), /after the click/);
  });

  claim("rename, verify and delete in the dialog, each with its error where it happened", async ({ admin, api, cloud }) => {
    const user = await api.register();
    const dashboard = await admin();
    const dialog = await dashboard.openUser(user);
    const name = dialog.getByRole("form", { name: "Name" });
    await name.locator("input").fill("Two words");
    await name.getByRole("button").click();
    await name.locator(".problem").getByText("fullName").waitFor();
    assert.equal(await dialog.locator(".problem").count(), 1);
    await name.locator("input").fill("Three words now");
    await name.getByRole("button").click();
    await name.locator(".done").getByText("Done.").waitFor();
    await dialog.locator("h2").getByText("Three words now").waitFor();

    const access = dialog.getByRole("form", { name: "Access" });
    for (const reason of ["   ", "much ".repeat(100) + "!"]) {
      await access.locator("textarea").fill(reason);
      await access.getByRole("button").click();
      await access.locator(".problem").getByText("reason: must have 1 to 500 characters").waitFor();
      await access.locator("textarea").fill("A reason.");
    }
    await access.getByRole("button").click();
    await access.locator(".done").getByText("Done.").waitFor();
    assert.equal(await access.locator(".problem").count(), 0);

    const email = dialog.locator("[data-test=verify-email]");
    await email.getByRole("button", { name: "Send a code" }).click();
    await email.locator("input[name=code]").fill("000000");
    await email.getByRole("button", { name: "Confirm" }).click();
    await email.locator(".problem").getByText("code").waitFor();
    const messages = async () => (await fetch(`${cloud.base}/_dev/messages`)).json();
    let message;
    while (!message) message = (await messages()).find(({ to }) => to === user.email);
    await email.locator("input[name=code]").fill(/\b(?=[A-Z0-9]*\d)[A-Z0-9]{6}\b|\b[A-Z]{6}\b/.exec(message.text)[0]);
    await email.getByRole("button", { name: "Confirm" }).click();
    await email.getByText("Verified", { exact: true }).waitFor();

    await dialog.getByRole("button", { name: "Delete…" }).click();
    await dialog.getByRole("button", { name: "Keep it" }).click();
    await dialog.getByRole("button", { name: "Delete…" }).click();
    await dialog.getByRole("button", { name: "Delete for good" }).click();
    await dashboard.row(user).waitFor({ state: "detached" });
    await dialog.getByText("This user is not in the list (any more).").waitFor();
  });

  claim("search and filter follow the events as well, and a reload keeps them", async ({ admin, api }) => {
    const word = randomUUID().replaceAll("-", "");
    const user = await api.register({ fullName: `Zoë Ångström ${word}` });
    await api.register();
    const dashboard = await admin();
    await dashboard.page.locator("input[name=search]").fill(`angstrom ${word.toUpperCase()}`);
    await dashboard.page.getByRole("button", { name: "Active", exact: true }).click();
    assert.deepEqual(await dashboard.ids(), [user.id]);
    await dashboard.page.reload();
    await dashboard.ready();
    assert.deepEqual(await dashboard.ids(), [user.id]);
    await api.ban(user.id);
    await dashboard.row(user).waitFor({ state: "detached" });
    await api.unban(user.id);
    await dashboard.row(user).waitFor();
  });

  claim("a burst of 500 changes leaves exactly the table that REST has", async ({ admin, api }) => {
    const users = await Promise.all(Array.from({ length: 20 }, () => api.register()));
    const dashboard = await admin();
    const work = Array.from({ length: 500 }, (_, n) => n);
    const step = async (n) => {
      const user = users[n % 20];
      if (n >= 480 && n % 2) return api.remove(user.id);
      if (n % 25 === 24) return void users.push(await api.register());
      return api.patch(user.id, { fullName: `Burst number ${n}` });
    };
    // Ten at a time, those of one user in order.
    for (let n = 0; n < work.length; n += 10) await Promise.all(work.slice(n, n + 10).map(step));
    const listed = await everybody(api);
    const last = listed.map(({ id, fullName }) => [id, fullName]);
    await dashboard.until("the table REST has", (count) => document.querySelector("[role=table]").ariaRowCount === String(count + 1), last.length);
    const rows = () => dashboard.page.evaluate(READ);
    for (let seen, tries = 0; JSON.stringify(seen) !== JSON.stringify(last); seen = await rows()) {
      assert.ok(tries++ < 100, "the table never was the one REST has");
    }
    assert.deepEqual(await rows(), last);
  });
});

/** Every row of the table from the top, by scrolling, as `[id, name]`. */
const READ = `(async () => {
  const view = document.querySelector(".view");
  const found = new Map();
  for (let top = 0; ; top += 300) {
    view.scrollTop = top;
    await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
    for (const row of view.querySelectorAll("[data-id]"))
      found.set(Number(row.dataset.index), [row.dataset.id, row.querySelector(".name").textContent]);
    if (top + view.clientHeight >= view.scrollHeight) break;
  }
  return [...found].sort(([a], [b]) => a - b).map(([, row]) => row);
})()`;

async function everybody(api) {
  const users = [];
  for (let path = "/users?limit=100"; path; ) {
    const { body, headers } = await api.call("GET", path, { token: await api.admin() });
    users.push(...body);
    path = /<\/api\/v1([^>]+)>/.exec(headers.get("link") ?? "")?.[1];
  }
  return users;
}
