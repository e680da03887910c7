// The pages of the dashboard as a test uses them.
import { within } from "../../e2e/harness/deadline.mjs";

export class Dashboard {
  constructor(page) {
    this.page = page;
    page.setDefaultTimeout(30_000);
  }

  async login({ email, password }) {
    await this.page.locator("input[name=email]").fill(email);
    await this.page.locator("input[name=password]").fill(password);
    await this.page.locator("form.login button.primary").click();
  }

  /** Waits until the page has drawn so many frames. */
  frames(count) {
    return this.page.evaluate(async (count) => {
      for (let n = 0; n < count; n++) await new Promise((resolve) => requestAnimationFrame(resolve));
    }, count);
  }

  /** The same page in another tab of the same browser. */
  async tab() {
    const page = await this.page.context().newPage();
    await page.goto(this.page.url());
    return new Dashboard(page);
  }

  /** The connection as the page says it is. */
  state(kind) {
    return this.page.locator(`[data-test=connection][data-state=${kind}]`).waitFor();
  }

  /** Connected, and the list is here. */
  async ready() {
    await this.state("connected");
    await this.loaded();
  }

  loaded() {
    return this.until("the list", () => document.querySelector("[data-test=loading]")?.textContent === "");
  }

  /** Waits until this is true in the page. */
  until(what, condition, argument) {
    return within(
      this.page.waitForFunction(condition, argument, { polling: 50, timeout: 60_000 }),
      () => `the page never had ${what}`,
      70_000,
    );
  }

  row({ id }) {
    return this.page.locator(`[data-id="${id}"]`);
  }

  /** The ids of all rows from the top, by scrolling through all of them. */
  async ids() {
    return this.page.evaluate(async () => {
      const view = document.querySelector(".view");
      const frame = () => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
      const found = new Map();
      for (let top = 0; ; top += 300) {
        view.scrollTop = top;
        await frame();
        for (const row of view.querySelectorAll("[data-id]")) found.set(Number(row.dataset.index), row.dataset.id);
        if (top + view.clientHeight >= view.scrollHeight) break;
      }
      view.scrollTop = 0;
      await frame();
      return [...found].sort(([a], [b]) => a - b).map(([, id]) => id);
    });
  }

  /** Opens the dialog of a user. */
  async openUser(user) {
    await this.row(user).click();
    return this.page.locator("[data-test=user]");
  }
}
