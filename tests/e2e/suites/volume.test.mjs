// Volume: a thousand registrations against fifty sockets. Nothing is missing, doubled, or out of a user's order.
// On an external database (`DYNAMODB_ENDPOINT`, which is far slower) the thousand meet one edge, the gateway; two hundred
// meet the other websocket edge, and polling, which the database sees nothing of, is left out.
import assert from "node:assert/strict";
import { isDeepStrictEqual } from "node:util";
import { GATEWAY, WEB_SOCKET_EDGES } from "../harness/edges.mjs";
import { onEveryEdge } from "../harness/stage.mjs";

const SOCKETS = 50;
const ALL = 1000;
const SOME = 200;
const EXTERNAL = Boolean(process.env.DYNAMODB_ENDPOINT);
/** Every so many users also change their name, this often. */
const RENAMED = 4;
const RENAMES = 3;
const AT_ONCE = 16;
/** After so many everybody catches up: a client that falls behind too far is closed, and that is another claim. */
const WAVE = 100;

/** How long the events of a wave may take after its last registration was answered. */
const TIMEOUT_MS = 3 * 60_000;

/** Runs `work` for 0 … amount-1, some at once, and returns the results. */
async function inParallel(amount, work) {
  const results = [];
  let next = 0;
  const worker = async () => {
    while (next < amount) {
      const n = next++;
      results[n] = await work(n);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return results;
}

/** Registers a user, renames some, and returns the events this must have caused. */
async function live(api, n) {
  const user = await api.register({ fullName: `User Number ${n}` });
  const events = [["users.created", user]];
  for (let rename = 1; n % RENAMED === 0 && rename <= RENAMES; rename += 1) {
    events.push(["users.updated", await api.patch(user.id, { fullName: `User Number ${n} ${rename}` })]);
  }
  return events;
}

/** What was heard, by user. */
function byUser(heard) {
  const users = new Map();
  for (const event of heard) {
    const [, { id }] = event;
    users.set(id, [...(users.get(id) ?? []), event]);
  }
  return users;
}

/** The users of whom something else was heard than should have been, each as the names heard and the right ones. */
function wrong(lives, heard) {
  const users = byUser(heard);
  const names = (events = []) => events.map(([name, { fullName }]) => `${name} ${fullName}`);
  return lives
    .filter((events) => !isDeepStrictEqual(users.get(events[0][1].id), events))
    .map((events) => ({ heard: names(users.get(events[0][1].id)), right: names(events) }));
}

const claims = (claim, edge) => {
  const registrations = EXTERNAL && edge !== GATEWAY ? SOME : ALL;
  claim(`${registrations} registrations reach ${SOCKETS} sockets: none missing, doubled or out of order`, async ({ api, open }) => {
    const listeners = Array.from({ length: SOCKETS }, () => open());
    // A busy database may let a handshake time out; the client tries again by itself.
    await Promise.all(listeners.map((listener) => listener.next("connect", undefined, TIMEOUT_MS)));
    const lives = [];
    // The last wave comes after everything else: what is delivered twice has come for the second time by then.
    for (const size of [...Array(registrations / WAVE).fill(WAVE), AT_ONCE]) {
      lives.push(...(await inParallel(size, (n) => live(api, n))));
      for (const listener of listeners) await listener.count(lives.flat().length, TIMEOUT_MS);
    }
    const wrongs = listeners.map(({ heard }) => wrong(lives, heard)).filter(({ length }) => length > 0);
    // Of each faulty socket only the first user: a message of fifty thousand lines helps nobody.
    const firsts = JSON.stringify(wrongs.map(([first]) => first), null, 2);
    assert.equal(wrongs.length, 0, `${wrongs.length} of ${SOCKETS} sockets heard something wrong: ${firsts}`);
    for (const listener of listeners) {
      assert.equal(listener.heard.length, lives.flat().length);
      assert.deepEqual([...new Set(listener.life)].filter((name) => name !== "connect_error"), ["connect", "users.created", "users.updated"]);
    }
  });
};

onEveryEdge("volume", {}, claims, EXTERNAL ? WEB_SOCKET_EDGES : undefined);
