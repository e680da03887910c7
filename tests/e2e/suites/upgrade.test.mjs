// A polling session whose WebSocket comes to nothing goes on polling, as with the Node server.
import assert from "node:assert/strict";
import WebSocket from "ws";
import { onOneCloud } from "../harness/stage.mjs";

/** An Engine.IO session by polling, packet for packet. */
class Polling {
  /** All packets that polls were answered with. */
  packets = [];

  constructor(base) {
    this.url = `${base}/socket.io/?EIO=4&transport=polling`;
  }

  async open() {
    const [open] = await this.receive();
    const { sid } = JSON.parse(open.slice(1));
    this.url += `&sid=${sid}`;
    return sid;
  }

  async receive() {
    const answer = await fetch(this.url, { signal: AbortSignal.timeout(60_000) });
    assert.equal(answer.status, 200, await answer.clone().text());
    const packets = (await answer.text()).split("\u001e");
    this.packets.push(...packets);
    return packets;
  }

  async send(packet) {
    assert.equal((await fetch(this.url, { method: "POST", body: packet })).status, 200);
  }

  /** Polls until a packet begins like this. */
  async until(beginning) {
    for (;;) {
      const found = (await this.receive()).find((packet) => packet.startsWith(beginning));
      if (found) return found;
    }
  }
}

function upgrading(stage, sid, protocol = 4) {
  const url = stage.cloud.base.replace("http:", "ws:");
  const socket = new WebSocket(`${url}/socket.io/?EIO=${protocol}&transport=websocket&sid=${sid}`);
  stage.keep({ close: () => socket.terminate() });
  return socket;
}

async function webSocket(stage, sid) {
  const socket = upgrading(stage, sid);
  await new Promise((resolve, reject) => socket.once("open", resolve).once("error", reject));
  return socket;
}

/** What the service answers instead of letting the WebSocket open; nothing, if it lets it. */
async function refusal(stage, sid, protocol) {
  const socket = upgrading(stage, sid, protocol);
  const answer = await new Promise((resolve, reject) => {
    socket.once("open", () => resolve()).once("error", reject);
    socket.once("unexpected-response", (_request, response) => resolve(response));
  });
  if (!answer) return socket.terminate();
  const chunks = await answer.toArray();
  return { status: answer.statusCode, body: JSON.parse(Buffer.concat(chunks)) };
}

const UNKNOWN = { status: 400, body: { code: 1, message: "Session ID unknown" } };

async function joined(stage) {
  const polling = new Polling(stage.cloud.base);
  const sid = await polling.open();
  await polling.send("40/users,");
  await polling.until("40/users,");
  return { polling, sid };
}

onOneCloud("upgrades from polling", {}, (claim) => {
  claim("a WebSocket that stays silent leaves the session polling", async (stage) => {
    const { polling, sid } = await joined(stage);
    await webSocket(stage, sid);
    const before = polling.packets.length;
    for (let n = 0; n < 3; n += 1) {
      const heard = polling.until('42/users,["users.created"');
      const user = await stage.api.register();
      assert.ok((await heard).includes(user.id));
    }
    const since = polling.packets.slice(before);
    assert.deepEqual(since.filter((packet) => !packet.startsWith("42/users,")), [], "each poll waits for an event");
  });

  claim("a WebSocket that dies before its probe leaves the session polling", async (stage) => {
    const { polling, sid } = await joined(stage);
    (await webSocket(stage, sid)).terminate();
    const heard = polling.until('42/users,["users.created"');
    const user = await stage.api.register();
    assert.ok((await heard).includes(user.id));
  });

  for (const [what, then] of [
    ["never hears the answer to its probe", () => {}],
    ["dies after its probe", (socket) => socket.terminate()],
  ]) {
    claim(`a WebSocket that ${what} leaves the session polling`, async (stage) => {
      const { polling, sid } = await joined(stage);
      const socket = await webSocket(stage, sid);
      const answered = new Promise((resolve) => socket.once("message", resolve));
      socket.send("2probe");
      await answered;
      then(socket);
      const before = polling.packets.length;
      const began = performance.now();
      const registered = [];
      for (let n = 0; n < 3; n += 1) {
        const heard = polling.until('42/users,["users.created"');
        const user = await stage.api.register();
        registered.push(user.id);
        assert.ok((await heard).includes(user.id));
      }
      const since = polling.packets.slice(before);
      for (const id of registered) {
        assert.equal(since.filter((packet) => packet.includes(id)).length, 1, "each event is heard once");
      }
      const noops = since.filter((packet) => packet === "6").length;
      assert.ok(noops <= (performance.now() - began) / 100 + 1, `${noops} polls were answered with nothing`);
    });
  }

  claim("a WebSocket that is probed and then left is closed after ten seconds, and polls wait again", async (stage) => {
    const { polling, sid } = await joined(stage);
    const socket = await webSocket(stage, sid);
    const closed = new Promise((resolve) => socket.once("close", resolve));
    const heard = polling.until('42/users,["users.created"');
    socket.send("2probe");
    await closed;
    const before = polling.packets.length;
    const user = await stage.api.register();
    assert.ok((await heard).includes(user.id));
    // One poll may have been waiting for the WebSocket.
    const noops = polling.packets.slice(before).filter((packet) => packet === "6").length;
    assert.ok(noops <= 1, `${noops} polls were answered with nothing`);
  });

  claim("a probe that comes through is answered, and the session goes on as a WebSocket", async (stage) => {
    const { polling, sid } = await joined(stage);
    const socket = await webSocket(stage, sid);
    const frames = [];
    let wake = () => {};
    socket.on("message", (data) => (frames.push(`${data}`), wake()));
    const frame = async (beginning) => {
      for (;;) {
        const found = frames.find((text) => text.startsWith(beginning));
        if (found) return found;
        await new Promise((resolve) => (wake = resolve));
      }
    };
    const pending = polling.receive();
    socket.send("2probe");
    await frame("3probe");
    await pending;
    socket.send("5");
    const user = await stage.api.register();
    assert.ok((await frame('42/users,["users.created"')).includes(user.id));
  });

  claim("a WebSocket for a session that nobody knows is refused at once", async (stage) => {
    for (const sid of ["AAAAAAAAAAAAAAHs", "nonsense", "", "a%20b"]) {
      assert.deepEqual(await refusal(stage, sid), UNKNOWN, sid);
    }
  });

  claim("a WebSocket for a session that has ended is refused at once", async (stage) => {
    const { polling, sid } = await joined(stage);
    await polling.send("1");
    // The packet is answered before the session is forgotten.
    let refused;
    for (let n = 0; n < 100 && !refused; n += 1) refused = await refusal(stage, sid);
    assert.deepEqual(refused, UNKNOWN);
  });

  claim("a second WebSocket for a session is closed at once, and the first goes on", async (stage) => {
    const { polling, sid } = await joined(stage);
    const first = await webSocket(stage, sid);
    const second = upgrading(stage, sid);
    await new Promise((resolve) => second.once("close", resolve));
    assert.equal(first.readyState, WebSocket.OPEN);
    const pending = polling.receive();
    const probed = new Promise((resolve) => first.once("message", (data) => resolve(`${data}`)));
    first.send("2probe");
    assert.equal(await probed, "3probe");
    await pending;
    const third = upgrading(stage, sid);
    await new Promise((resolve) => third.once("close", resolve));
  });

  claim("an upgrade of a protocol before Engine.IO 4 is refused at once", async (stage) => {
    const { sid } = await joined(stage);
    assert.equal((await refusal(stage, sid, 3))?.status, 400);
  });
});
