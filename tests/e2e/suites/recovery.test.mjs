// Connection state recovery: whatever cuts the socket, afterwards the table is what REST says, and the list was loaded once.
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { Cloud } from "../harness/cloud.mjs";
import { EDGES, GATEWAY } from "../harness/edges.mjs";
import { Follower } from "../harness/follower.mjs";
import { Listener } from "../harness/listener.mjs";

const USERS = 120;
const CHANGES = 1000;
const AT_ONCE = 16;

async function inParallel(amount, work) {
  let next = 0;
  const worker = async () => {
    while (next < amount) await work(next++);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}

/** Changes of users, three quarters of them in bursts; some are new, some go. */
async function change(api, users, amount = CHANGES) {
  const one = async (n) => {
    if (n % 50 === 7) return users.push(await api.register({ fullName: `New While Away ${n}` }));
    if (n % 50 === 23) return api.remove(users.shift().id);
    return api.patch(users[n % (users.length - AT_ONCE)].id, { fullName: `Changed While Away ${n}` }).catch(() => {});
  };
  await inParallel((amount * 3) / 4, one);
  for (let n = 0; n < amount / 4; n += 1) await one(n);
}

/** A cloud with users, and an application that follows it. */
async function scene({ users: amount = USERS, ...options }, body) {
  const cloud = new Cloud(options);
  let follower;
  try {
    await cloud.start();
    const users = [];
    await inParallel(amount, async (n) => users.push(await cloud.api.register({ fullName: `User Number ${n}` })));
    follower = new Follower(cloud);
    assert.equal(await follower.connected(), false);
    await follower.ready();
    await follower.becomesRight();
    await body({ cloud, follower, users });
  } finally {
    follower?.close();
    await cloud.stop();
  }
}

/** Away, a thousand changes, back: everything is there, heard once and not loaded. */
async function misses({ cloud, follower, users }) {
  await change(cloud.api, users);
  // What is still on its way when the client comes back is heard as well, and may be told too.
  const witness = Listener.open(cloud, GATEWAY, {});
  await witness.next("connect");
  const last = await cloud.api.patch(users[0].id, { fullName: `The Last ${Math.random()}` });
  await witness.nextAbout(last, "users.updated");
  witness.close();
  const { id } = follower.socket;
  assert.equal(await follower.back(), true);
  assert.notEqual(follower.socket.id, id);
  await follower.becomesRight();
  assert.deepEqual(follower.twice, []);
  assert.equal(follower.loads, 1);
}

describe(`${GATEWAY.name}: recovery`, () => {
  test("cut, a thousand changes, back, and the same once more: nothing is missing, loaded or heard twice", () =>
    scene({}, async (stage) => {
      const { follower } = stage;
      const id = follower.socket.id;
      for (let round = 0; round < 2; round += 1) {
        await follower.cut();
        await misses(stage);
        assert.equal(follower.socket.id, id, "the socket keeps its id");
      }
    }));

  test("a heartbeat that fails ends as any other cut", () =>
    scene({}, async (stage) => {
      const { follower } = stage;
      const { engine } = follower.socket.io;
      follower.socket.io.reconnection(false);
      // As if the service had promised pings much sooner.
      [engine._pingInterval, engine._pingTimeout] = [50, 50];
      engine._resetPingTimeout();
      assert.equal(await follower.gone(), "ping timeout");
      await misses(stage);
    }));

  for (const [cause, extra] of [["the idle limit", ["--idle-timeout", "2s"]], ["the lifetime", ["--lifetime", "2s"]]]) {
    test(`at ${cause} the client is back with everything, as often as it takes`, () =>
      scene({ extra }, async ({ cloud, follower, users }) => {
        for (let cuts = 0; cuts < 3; cuts += 1) {
          const gone = follower.gone();
          await change(cloud.api, users, 400);
          assert.equal(await gone, "transport close");
          assert.equal(await follower.connected(), true);
        }
        await follower.becomesRight();
        assert.equal(follower.loads, 1);
        assert.ok(follower.recovered.slice(1).every(Boolean), `${follower.recovered}`);
      }));
  }

  test("while every function fails and comes late the client ends with everything", () => {
    const faults = ["fail=broadcast:20%", "fail=message:10%", "fail=handshake:20%", "fail=connect:10%", "duplicate=20%", "reorder=20%", "throttle=10%"];
    return scene({ users: 40, extra: faults.flatMap((fault) => ["--fault", fault]) }, async ({ cloud, follower, users }) => {
      const changes = change(cloud.api, users);
      for (let cuts = 0; cuts < 8; cuts += 1) {
        follower.socket.io.engine?.close();
        await follower.gone();
        await follower.connected();
      }
      await changes;
      await follower.becomesRight();
      assert.ok(follower.recovered.slice(1).every(Boolean), `${follower.recovered}`);
      assert.equal(follower.loads, 1);
    });
  });

  test("the service is killed and started again on its folder, and the client misses nothing", async () => {
    const dataDir = await mkdtemp(join(tmpdir(), "e2e-"));
    try {
      await scene({ dataDir }, async ({ cloud, follower, users }) => {
        const id = follower.socket.id;
        for (let round = 0; round < 2; round += 1) {
          follower.socket.io.reconnection(false);
          await cloud.kill();
          await follower.gone();
          await cloud.start();
          await change(cloud.api, users, CHANGES / 2);
          // In the middle of the deliveries once more.
          await cloud.kill();
          await cloud.start();
          assert.equal(await follower.back(), true);
          await follower.becomesRight();
          assert.equal(follower.socket.id, id);
          assert.equal(follower.loads, 1);
        }
      });
    } finally {
      await rm(dataDir, { recursive: true });
    }
  });

  const keepsTables = process.env.DYNAMODB_ENDPOINT && "a database of its own keeps its tables";
  test("a service that has lost its tables recovers nobody, and the client loads the list", { skip: keepsTables }, () =>
    scene({ users: 3 }, async ({ cloud, follower }) => {
      follower.socket.io.reconnection(false);
      // Everything was in memory; what signs a `pid` stays.
      await cloud.kill();
      await follower.gone();
      await cloud.start();
      for (let round = 0; round < 2; round += 1) {
        await cloud.api.register({ fullName: `After The Loss ${round}` });
        assert.equal(await follower.back(), round > 0, `round ${round}`);
        await follower.becomesRight();
        await follower.cut();
      }
      assert.equal(follower.loads, 2);
    }));

  test("a user's own socket is recovered, and a ban is heard once and never told later", async () => {
    const cloud = new Cloud();
    let own;
    try {
      await cloud.start();
      const { user, token } = await cloud.api.account();
      own = Listener.open(cloud, GATEWAY, { token, recovery: true }, { reconnectionDelay: 1, reconnectionDelayMax: 10 });
      await own.next("connect");
      own.socket.io.engine.close();
      await own.gone();
      await own.next("connect");
      assert.equal(own.socket.recovered, true);
      await cloud.api.ban(user.id);
      await own.next("account.banned");
      assert.equal(await own.gone(), "io server disconnect");
      own.socket.connect();
      assert.deepEqual((await own.outcome()).args[0].message, "ACCOUNT_BANNED");
      await cloud.api.unban(user.id);
      own.socket.connect();
      await own.next("connect");
      assert.equal(own.socket.recovered, false);
      assert.deepEqual(own.heard.map(([name]) => name), ["account.banned"]);
      assert.deepEqual(own.complaints, []);
    } finally {
      own?.close();
      await cloud.stop();
    }
  });
});

for (const edge of EDGES.filter((edge) => edge !== GATEWAY)) {
  test(`${edge.name}: recovery is not to be had, which the client sees`, async () => {
    const cloud = new Cloud();
    let listener;
    try {
      await cloud.start();
      listener = Listener.open(cloud, edge, { recovery: true }, { reconnectionDelay: 1, reconnectionDelayMax: 10 });
      // Events have one argument here, whatever was asked for.
      listener.recovers = false;
      for (let round = 0; round < 2; round += 1) {
        await listener.next("connect");
        assert.ok(!listener.socket.recovered);
        const user = await cloud.api.register();
        assert.deepEqual(await listener.nextAbout(user, "users.created"), [user]);
        if (round === 0) listener.socket.io.engine.close();
      }
      assert.deepEqual(listener.complaints, []);
    } finally {
      listener?.close();
      await cloud.stop();
    }
  });
}
