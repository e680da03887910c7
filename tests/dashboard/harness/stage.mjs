// What a browser test stands on: a running cloud that serves the built dashboard, and pages that are closed whatever happens.
import { after, before, describe, test } from "node:test";
import { ADMIN, Cloud } from "../../e2e/harness/cloud.mjs";
import { perform } from "../../e2e/harness/stage.mjs";
import { launch, watch } from "./browser.mjs";
import { Dashboard } from "./dashboard.mjs";

/** The ways in, as the page's own setting names them. */
export const ENTRANCES = ["socketio", "gateway"];

/** Each claim once for each entrance. */
export function onBothEntrances(subject, options, define, running) {
  const both = (claim) => {
    for (const entrance of ENTRANCES) define((title, body) => claim(`${entrance}: ${title}`, body, entrance));
  };
  onOneCloud(subject, options, both, running);
}

/**
 * `options` are those of the cloud; `usual` is the entrance of claims which do not say one, all else is for the test
 * runner. Claims run one after the other unless that says otherwise; without a number they would take their parent's.
 */
export function onOneCloud(subject, options, define, { usual = "socketio", ...running } = {}) {
  describe(subject, { concurrency: 1, ...running }, () => {
    const cloud = new Cloud(options);
    let browser;
    before(async () => {
      await cloud.start();
      browser = await launch();
    });
    after(async () => {
      await browser?.close();
      await cloud.stop();
    });
    define((title, body, entrance = usual) =>
      test(title, () => perform(body, new Stage(cloud, browser, entrance))),
    );
  });
}

class Stage {
  #contexts = [];
  #watched = [];
  #expected;

  constructor(cloud, browser, entrance) {
    this.cloud = cloud;
    this.browser = browser;
    this.entrance = entrance;
    this.api = cloud.api;
    this.#expected = { hosts: new Set([new URL(cloud.base).host]), said: [], document: () => this.cloud.api.document() };
  }

  /** A host that pages may load from, and what the browser may say of it. */
  allow(host, ...said) {
    this.#expected.hosts.add(host);
    this.#expected.said.push(...said);
  }

  get complaints() {
    return Promise.all(this.#watched.flat()).then((complaints) => complaints.flat());
  }

  /** A browser of somebody who was never here: `hash` is the page, `options` are those of a context. */
  open = async (hash = "#/users", { language = "en", url = this.cloud.base, ...options } = {}) => {
    const context = await this.browser.newContext({ viewport: { width: 1280, height: 800 }, locale: "en-GB", ...options });
    this.#contexts.push(context);
    await context.addInitScript(
      ([entrance, language]) => {
        localStorage.setItem("moien.entrance", entrance);
        localStorage.getItem("moien.language") ?? localStorage.setItem("moien.language", language);
      },
      [this.entrance, language],
    );
    const page = await context.newPage();
    this.#watched.push(watch(page, this.#expected));
    await page.goto(`${url}/${hash}`);
    return new Dashboard(page);
  };

  /** A browser in which the administrator is logged in, connected, and has the list. */
  admin = async (options) => {
    const dashboard = await this.open("#/users", options);
    await dashboard.login(ADMIN);
    await dashboard.ready();
    return dashboard;
  };

  async clear() {
    await Promise.all(this.#contexts.map((context) => context.close()));
  }
}
