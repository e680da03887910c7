// What the pages are like: both languages and directions, light and dark, keyboard, screen readers, a phone. Each page is
// kept as a picture in `out/`.
import assert from "node:assert/strict";
import { copyFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { ADMIN } from "../../e2e/harness/cloud.mjs";
import { OUTPUT } from "../harness/browser.mjs";
import { onOneCloud } from "../harness/stage.mjs";

const AXE = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
const README_PICTURES = new URL("../../../local-dev/dashboard/pictures/", import.meta.url).pathname;

/** Of these two the README shows the pictures; `KEEP_PICTURES` renews them. */
const IN_README = ["users-en-light", "users-ar-dark"];

const PEOPLE = [
  { mailbox: "sara.ahmadi", fullName: "Sara Ahmadi Rad", countryCode: "IR", countryName: "Iran", phone: "+989121234567" },
  { mailbox: "m.ali", fullName: "محمد علي حسن", countryCode: "EG", countryName: "مصر", phone: "+201001234567" },
  { mailbox: "ivan.sidorov", fullName: "Иван Петрович Сидоров", countryCode: "KZ", countryName: "Казахстан", phone: "+77011234567" },
  { mailbox: "am.dupont", fullName: "Anne-Marie Dupont Leroy", countryCode: "FR", countryName: "France", phone: "+33612345678" },
  { mailbox: "sofia", fullName: "Σοφία Μαρία Παπαδοπούλου", countryCode: "GR", countryName: "Ελλάδα", phone: "+306912345678" },
  { mailbox: "narges.k", fullName: "نرگس کریمی‌پور تهرانی", countryCode: "IR", countryName: "ایران", phone: "+989131234567" },
  { mailbox: "minhkhai", fullName: "Nguyễn Thị Minh Khai", countryCode: "VN", countryName: "Việt Nam", phone: "+84912345678" },
  { mailbox: "joao.pedro", fullName: "João Pedro da Conceição", countryCode: "BR", countryName: "Brasil", phone: "+5511912345678" },
];

/** What axe finds, in words. */
async function findings({ page }) {
  // The page's policy lets no script in but its own; this one comes by the debugger.
  await page.addScriptTag({ path: AXE }).catch(() => {});
  const { violations } = await page.evaluate(async () => {
    const moving = document.getAnimations().map((animation) => animation.finished.catch(() => {}));
    await Promise.all(moving);
    return globalThis.axe.run(document, { resultTypes: ["violations"] });
  });
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html, failureSummary }) => `${html} ${failureSummary}`).join("; ")}`);
}

async function keep(dashboard, name) {
  const path = `${OUTPUT}${name}.png`;
  await dashboard.page.screenshot({ path });
  if (process.env.KEEP_PICTURES && IN_README.includes(name)) await copyFile(path, `${README_PICTURES}${name}.png`);
}

const LOOKS = [
  { language: "en", colorScheme: "light", dir: "ltr" },
  { language: "en", colorScheme: "dark", dir: "ltr" },
  { language: "ar", colorScheme: "light", dir: "rtl" },
  { language: "ar", colorScheme: "dark", dir: "rtl" },
];

onOneCloud("the pages", {}, (claim) => {
  for (const { language, colorScheme, dir } of LOOKS) {
    const look = { language, colorScheme, bypassCSP: true };
    claim(`axe finds nothing on any page, ${language}, ${colorScheme}`, async ({ admin, open, api }) => {
      const name = (page) => `${page}-${language}-${colorScheme}`;
      const users = [];
      for (const { mailbox, ...person } of PEOPLE) {
        users.push(await api.register({ ...person, email: `${mailbox}@${colorScheme}.${language}.example` }));
      }
      const { user, email, password } = await api.account();

      const login = await open("#/users", look);
      assert.equal(await login.page.evaluate(() => document.documentElement.dir), dir);
      assert.deepEqual(await findings(login), []);
      await keep(login, name("login"));

      const dashboard = await admin(look);
      await api.ban(users[2].id);
      await api.patch(users[4].id, { fullName: "Σοφία Μαρία Αλεξίου" });
      await dashboard.row(users[4]).getByText("Αλεξίου").waitFor();
      await dashboard.row(users[2]).locator(".banned").waitFor();
      await keep(dashboard, name("users"));
      assert.deepEqual(await findings(dashboard), []);

      const dialog = await dashboard.openUser(users[2]);
      await dialog.locator(".part").first().waitFor();
      assert.deepEqual(await findings(dashboard), []);
      await keep(dashboard, name("user"));

      const own = await open("#/account", look);
      await own.login({ email, password });
      await own.state("connected");
      await own.page.locator("[data-test=account]").waitFor();
      assert.deepEqual(await findings(own), []);
      await keep(own, name("account"));
      await api.ban(user.id);
      await own.page.locator("[data-test=out]").waitFor();
      assert.deepEqual(await findings(own), []);
      await keep(own, name("out"));
    });

    claim(`on a phone nothing is wider than the screen, ${language}, ${colorScheme}`, async ({ admin, api }) => {
      const user = await api.register({ fullName: PEOPLE[1].fullName });
      const dashboard = await admin({ ...look, viewport: { width: 360, height: 740 } });
      await dashboard.row(user).waitFor();
      const width = () => dashboard.page.evaluate(() => document.scrollingElement.scrollWidth);
      assert.equal(await width(), 360);
      await keep(dashboard, `phone-${language}-${colorScheme}`);
      await dashboard.openUser(user);
      assert.equal(await width(), 360);
      assert.deepEqual(await findings(dashboard), []);
    });
  }

  claim("the page of the document fits on a phone, and axe finds nothing on it", async ({ open }) => {
    const document = await open("api/docs", { viewport: { width: 360, height: 740 }, bypassCSP: true });
    await document.page.getByRole("heading", { name: "Events" }).waitFor();
    assert.equal(await document.page.evaluate(() => globalThis.document.scrollingElement.scrollWidth), 360);
    await keep(document, "documents");
    assert.deepEqual(await findings(document), []);
  });

  claim("everything can be done by keyboard alone", async ({ open, api }) => {
    const [lower, upper] = [await api.register(), await api.register()];
    const dashboard = await open();
    const { page } = dashboard;
    await page.locator("input[name=email]").focus();
    await page.keyboard.type(ADMIN.email);
    await page.keyboard.press("Tab");
    await page.keyboard.type(ADMIN.password);
    await page.keyboard.press("Enter");
    await dashboard.ready();
    await page.locator("input[name=search]").focus();
    // Three buttons of the filter, then the rows.
    for (let n = 0; n < 4; n++) await page.keyboard.press("Tab");
    const focused = () => page.evaluate(() => document.activeElement.closest("[data-id]")?.dataset.id);
    assert.equal(await focused(), upper.id);
    await page.keyboard.press("ArrowDown");
    assert.equal(await focused(), lower.id);
    await page.keyboard.press("Enter");
    await page.locator("[data-test=user] h2").getByText(lower.fullName).waitFor();
    const name = page.locator("[data-test=user] input[name=fullName]");
    await name.focus();
    await page.keyboard.press("ControlOrMeta+A");
    await page.keyboard.type("Typed by keyboard alone");
    await page.keyboard.press("Enter");
    await page.locator("[data-test=user] h2").getByText("Typed by keyboard alone").waitFor();
    await page.getByRole("button", { name: "Delete…" }).focus();
    await page.keyboard.press("Enter");
    await page.locator("button:focus").getByText("Keep it").waitFor();
    await page.keyboard.press("Enter");
    await page.locator("button:focus").getByText("Delete…").waitFor();
    await page.keyboard.press("Escape");
    await page.locator("[data-test=user]").waitFor({ state: "detached" });
    assert.equal(await focused(), lower.id, "the focus is back where it was");
  });

  claim("Tab goes to one row of the table and then on, and the arrow keys from row to row", async ({ admin, api }) => {
    for (let n = 0; n < 3; n++) await api.register();
    const { page } = await admin();
    const focused = (attribute) => page.evaluate((name) => document.activeElement.closest(`[${name}]`)?.getAttribute(name), attribute);
    await page.getByRole("button", { name: "Banned", exact: true }).focus();
    await page.keyboard.press("Tab");
    assert.equal(await focused("data-index"), "0");
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("Tab");
    assert.equal(await focused("data-test"), "activity");
    await page.keyboard.press("Shift+Tab");
    assert.equal(await focused("data-index"), "1", "back at the row that was left");
  });

  claim("who reads further down is not moved by rows that come and go on top", async ({ admin, api }) => {
    const [newest] = (await Promise.all(Array.from({ length: 20 }, () => api.register()))).sort((a, b) => b.createdAt.localeCompare(a.createdAt));
    const dashboard = await admin();
    const { page } = dashboard;
    await page.locator(".view").evaluate((view) => (view.scrollTop = 7.5 * 60));
    await page.locator("[data-index='8']").waitFor();
    const read = page.locator(`[data-id="${await page.locator("[data-index='8']").getAttribute("data-id")}"]`);
    const before = await read.boundingBox();
    const users = [await api.register(), await api.register()];
    await page.locator("li[data-event='users.created']").nth(1).waitFor();
    assert.equal(await read.getAttribute("data-index"), "10");
    assert.deepEqual(await read.boundingBox(), before);
    for (const user of [...users, newest]) await api.remove(user.id);
    await page.locator("li[data-event='users.deleted']").nth(2).waitFor();
    assert.equal(await read.getAttribute("data-index"), "7");
    assert.deepEqual(await read.boundingBox(), before);
  });

  claim("a user of an address is looked for until the list is complete", async ({ admin, api }) => {
    const user = await api.register();
    const { page } = await admin();
    let go;
    const asked = new Promise((resolve) => page.route(/\/api\/v1\/users\?/, (route) => resolve((go = () => route.continue()))));
    await page.goto(page.url().replace(/#.*/, `#/users/${user.id}`));
    await page.reload();
    await asked;
    const title = page.locator("#user-title");
    await title.getByText("Loading the list…").waitFor();
    await go();
    await title.getByText(user.fullName).waitFor();
  });

  claim("an address with nonsense in it is a page all the same", async ({ open }) => {
    const dashboard = await open("#/users/%E0%A4%A?q=%E0&status=none");
    await dashboard.login(ADMIN);
    await dashboard.page.getByText("This user is not in the list (any more).").waitFor();
  });

  claim("a page opens in another tab, as every link does", async ({ open }) => {
    const { page } = await open();
    const opened = page.context().waitForEvent("page");
    await page.getByRole("link", { name: "My account" }).click({ modifiers: ["ControlOrMeta"] });
    await (await opened).getByRole("heading", { name: "Sign in to your account" }).waitFor();
    assert.ok(page.url().endsWith("#/users"));
  });

  claim("a name that looks like markup is text", async ({ admin, api }) => {
    const fullName = "<img src=x onerror=alert(1)> <script>alert(2)</script> three";
    const user = await api.register({ fullName });
    const dashboard = await admin();
    assert.equal(await dashboard.row(user).locator(".name").textContent(), fullName);
    const dialog = await dashboard.openUser(user);
    assert.equal(await dialog.locator("h2").textContent(), fullName);
    assert.equal(await dashboard.page.locator("img, body script").count(), 0);
    await dialog.getByRole("button", { name: "Close" }).click();
  });

  claim("language and appearance are kept for the next time", async ({ admin }) => {
    const { page } = await admin();
    await page.locator("[data-test=language]").selectOption("ar");
    await page.locator("[data-test=theme]").selectOption("dark");
    await page.getByRole("heading", { name: "المستخدمون" }).waitFor();
    await page.reload();
    await page.getByRole("heading", { name: "المستخدمون" }).waitFor();
    const { lang, dir, theme } = await page.evaluate(() => ({ lang: document.documentElement.lang, dir: document.documentElement.dir, theme: document.documentElement.dataset.theme }));
    assert.deepEqual([lang, dir, theme], ["ar", "rtl", "dark"]);
  });

  claim("an entrance is chosen on the page, and the table goes on", async ({ admin, api }) => {
    const dashboard = await admin();
    await dashboard.page.locator("[data-test=entrance]").selectOption("gateway");
    await dashboard.page.locator("[data-test=connection][data-state=connected]").getByText("/dev").waitFor();
    await dashboard.loaded();
    const user = await api.register();
    await dashboard.row(user).waitFor();
  });
});
