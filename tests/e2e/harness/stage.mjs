// What a test stands on: a running cloud, an edge, and clients that are closed whatever happens.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Cloud } from "./cloud.mjs";
import { EDGES } from "./edges.mjs";
import { Listener } from "./listener.mjs";
import { Wire } from "./wire.mjs";

/**
 * Each claim once per edge, all of them against one cloud. `define` gets `claim(title, body)` and the edge; `body` gets
 * a stage.
 */
export function onEveryEdge(subject, options, define, edges = EDGES) {
  describe(subject, () => {
    const cloud = running(options);
    for (const edge of edges) {
      define((title, body) => test(`${edge.name}: ${title}`, () => perform(body, new Stage(cloud, edge))), edge);
    }
  });
}

/** Claims to which it is all the same how a socket connects, if there is one: each once, against one cloud. */
export function onOneCloud(subject, options, define) {
  describe(subject, () => {
    const cloud = running(options);
    define((title, body) => test(title, () => perform(body, new Stage(cloud))));
  });
}

function running(options) {
  const cloud = new Cloud(options);
  before(() => cloud.start());
  after(() => cloud.stop());
  return cloud;
}

/** Runs a test, fails it for what its stage complains of, and closes what it has opened. */
export async function perform(body, stage) {
  try {
    await body(stage);
    assert.deepEqual(await stage.complaints, []);
  } catch (error) {
    console.error(`What the program said before this test failed:\n${stage.cloud.output.slice(-4_000)}`);
    throw error;
  } finally {
    await stage.clear();
  }
}

/** Its members are bound, so that a test can take just those it needs. */
class Stage {
  #clients = [];

  constructor(cloud, edge) {
    this.cloud = cloud;
    this.edge = edge;
    this.api = cloud.api;
  }

  /** What clients heard that the contract does not promise. */
  get complaints() {
    return this.#clients.flatMap(({ complaints = [] }) => complaints);
  }

  /** Anything with `close()`; closed at the end of the test. */
  keep = (client) => {
    this.#clients.push(client);
    return client;
  };

  /** A socket on `/users` that is still connecting. */
  open = (auth, options) => this.keep(Listener.open(this.cloud, this.edge, auth, options));

  /** A socket on `/users` that is connected. */
  join = async (auth, options) => {
    const listener = this.open(auth, options);
    const { name, args } = await listener.outcome();
    assert.equal(name, "connect", JSON.stringify(args));
    return listener;
  };

  /** A plain WebSocket to the same edge. */
  wire = () => this.keep(new Wire(this.cloud, this.edge));

  clear() {
    for (const client of this.#clients) client.close();
  }
}
