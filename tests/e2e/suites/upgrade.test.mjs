// A polling session whose WebSocket comes to nothing goes on polling, as with the Node server.
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import WebSocket from "ws";
import { onOneCloud } from "../harness/stage.mjs";

/** An Engine.IO session by polling, packet for packet. */
class Polling {
  polls = 0;

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
    this.polls += 1;
    const answer = await fetch(this.url, { signal: AbortSignal.timeout(60_000) });
    assert.equal(answer.status, 200, await answer.clone().text());
    return (await answer.text()).split("\u001e");
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

async function webSocket(stage, sid) {
  const url = stage.cloud.base.replace("http:", "ws:");
  const socket = new WebSocket(`${url}/socket.io/?EIO=4&transport=websocket&sid=${sid}`);
  stage.keep({ close: () => socket.terminate() });
  await new Promise((resolve, reject) => socket.once("open", resolve).once("error", reject));
  return socket;
}

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
    const before = polling.polls;
    const heard = polling.until('42/users,["users.created"');
    await sleep(1_000);
    assert.ok(polling.polls - before <= 2, `it polled ${polling.polls - before} times in a second`);
    const user = await stage.api.register();
    assert.ok((await heard).includes(user.id));
  });

  claim("a WebSocket that dies before its probe leaves the session polling", async (stage) => {
    const { polling, sid } = await joined(stage);
    (await webSocket(stage, sid)).terminate();
    const heard = polling.until('42/users,["users.created"');
    const user = await stage.api.register();
    assert.ok((await heard).includes(user.id));
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
});
