// A database that is away for some seconds while clients connect: they come back by themselves, without a line of the
// application's code.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Cloud } from "../harness/cloud.mjs";
import { EDGES } from "../harness/edges.mjs";
import { Listener } from "../harness/listener.mjs";
import { Outage } from "../harness/outage.mjs";

/** How long it is away, and how long a client may take from then on, in milliseconds. */
const AWAY = 3_000;
const BACK_WITHIN = 30_000;

describe("a database that is away", () => {
  const other = new Cloud();
  let outage, cloud;
  before(async () => {
    await other.start();
    outage = await Outage.before(process.env.DYNAMODB_ENDPOINT ?? other.dynamodb);
    cloud = new Cloud({ database: outage.endpoint });
    await cloud.start();
  });
  after(async () => {
    await cloud.stop();
    outage.close();
    await other.stop();
  });

  for (const edge of EDGES) {
    test(`${edge.name}: a client whose CONNECT finds no database is connected when it is back`, async () => {
      let asked = 0;
      // Called when the connection is open and the CONNECT is about to be sent.
      const auth = (give) => {
        asked += 1;
        if (asked === 1) {
          outage.begin();
          setTimeout(() => outage.end(), AWAY);
        }
        give({});
      };
      const listener = Listener.open(cloud, edge, auth);
      try {
        await listener.next("connect", undefined, AWAY + BACK_WITHIN);
        assert.ok(asked > 1, "the first CONNECT was not the one");
        const user = await cloud.api.register();
        assert.deepEqual(await listener.nextAbout(user, "users.created"), [user]);
      } finally {
        listener.close();
      }
    });
  }
});
