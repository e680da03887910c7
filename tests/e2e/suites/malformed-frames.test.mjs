// Frames no client library would send, over a plain WebSocket: the reactions are those of the Node server, except where
// an edge says otherwise, and the others on the feed never notice.
import assert from "node:assert/strict";
import { WEB_SOCKET_EDGES } from "../harness/edges.mjs";
import { onEveryEdge } from "../harness/stage.mjs";

/** Sent by a socket that has joined `/users`; the Node server closes the connection for each. */
const CLOSED = {
  "an empty frame": "",
  "a word": "hello",
  "an unknown Engine.IO type": "9",
  "a JSON object": '{"message":"Internal server error"}',
  "a ping, which only servers send": "2",
  "an upgrade probe on an established connection": "2probe",
  "a bare message": "4",
  "an unknown Socket.IO type": "47",
  "a letter for a Socket.IO type": "4x",
  "2,000 characters of 4": "4".repeat(2000),
  "a CONNECT for a namespace that is joined already": "40/users,",
  "a CONNECT with an array": "40/other,[]",
  "a CONNECT with broken JSON": '40/other,{"token":',
  "a DISCONNECT with a payload": '41/users,{"a":1}',
  "an event for a namespace that was not joined": '42["hello"]',
  "an event for a namespace that does not exist": '42/nope,["hello"]',
  "an object for an event": "42{}",
  "an object for an event in /users": "42/users,{}",
  "an event without a name": "42/users,[]",
  "an event named null": "42/users,[null]",
  "an event with a reserved name": '42/users,["connect"]',
  "an event with broken JSON": '42/users,["hello",{]',
  "an event that ends early": '42/users,["hel',
  "an acknowledgement that is no array": '43/users,1{"a":1}',
  "a CONNECT_ERROR, which only servers send": '44/users,{"message":"no"}',
  "a binary event without attachments": '450-/users,["up"]',
  "a binary event without a count": '45/users,["up"]',
};

/** As above, but the Node server lets these pass. */
const IGNORED = {
  "an open packet, which only servers send": '0{"sid":"x"}',
  "a close packet": "1",
  "a pong nobody asked for": "3",
  "an upgrade packet": "5",
  "a noop": "6",
  "an acknowledgement nobody asked for": '43/users,99["x"]',
  "an event nobody listens to": '42/users,["hello",{"a":[1,2,3]}]',
  "an event the name of which needs escaping": '42/users,["say \\"hello\\"\\n"]',
  "an event with a number for a name": "42/users,[5]",
  "an event with an acknowledgement id": '42/users,7["hello"]',
};

const FRAMES = { ...CLOSED, ...IGNORED };

onEveryEdge("malformed frames", {}, (claim, { unlikeNode = {} }) => {
  const node = (what) => (what in CLOSED ? "closed" : "ignored");
  const reactions = Object.keys(FRAMES).map((what) => [what, unlikeNode[what] ?? node(what)]);
  const unlike = (what) => (what in unlikeNode ? ", unlike at the Node server" : "");

  for (const [what, reaction] of reactions) {
    const closes = reaction === "closed";
    const title = closes ? "closes the connection, and only that" : "is ignored";
    claim(`${what} ${title}${unlike(what)}`, async ({ api, join, wire }) => {
      const [feed, culprit] = [await join(), wire()];
      await culprit.join();
      culprit.send(FRAMES[what]);
      if (closes) {
        await culprit.closed();
      } else {
        // Answered as long as the connection lives.
        culprit.send("40/marker,");
        await culprit.next("44/marker,");
      }
      const user = await api.register();
      await feed.nextAbout(user, "users.created");
      assert.deepEqual(feed.life.filter((name) => name !== "users.created"), ["connect"]);
      assert.equal(culprit.frames.includes("(closed)"), closes);
      const bare = culprit.frames.filter((frame) => frame.startsWith("{"));
      assert.deepEqual(bare, [], "never an error that is no packet");
    });
  }

  claim("a stray binary frame harms nobody else", async ({ api, join, wire }) => {
    const [feed, culprit] = [await join(), wire()];
    await culprit.join();
    culprit.send(Buffer.from([4, 2, 0, 255]));
    const user = await api.register();
    await feed.nextAbout(user, "users.created");
  });

  claim("an event before any CONNECT closes the connection", async ({ wire }) => {
    const culprit = wire();
    await culprit.opened();
    culprit.send('42/users,["hello"]');
    await culprit.closed();
  });

  claim("a malformed CONNECT is not taken for one without a token", async ({ wire }) => {
    // A number is left out: the Node server reads it as an acknowledgement id, and the CONNECT as one without a token.
    for (const auth of ["[]", '["x"]', '"x"', '{"token":', "{]"]) {
      const culprit = wire();
      await culprit.opened();
      culprit.send(`40/users,${auth}`);
      await culprit.closed();
      assert.deepEqual(culprit.frames.filter((frame) => frame.startsWith("40")), [], auth);
    }
  });

  claim("a hundred malformed connections at once leave the feed as it was", async ({ api, join, wire }) => {
    const feed = await join();
    const frames = reactions.filter(([, reaction]) => reaction === "closed").map(([what]) => FRAMES[what]);
    const culprits = Array.from({ length: 100 }, () => wire());
    await Promise.all(culprits.map((culprit) => culprit.join()));
    culprits.forEach((culprit, n) => culprit.send(frames[n % frames.length]));
    for (const culprit of culprits) await culprit.closed();
    const user = await api.register();
    await feed.nextAbout(user, "users.created");
    assert.deepEqual(feed.about(user), [["users.created", user]]);
  });
}, WEB_SOCKET_EDGES);
