// Verification as a client sees it: the code arrives, and its confirmation is an event for everybody.
import assert from "node:assert/strict";
import { TIMEOUT_MS } from "../harness/deadline.mjs";
import { assertRefusal } from "../harness/shapes.mjs";
import { onEveryEdge } from "../harness/stage.mjs";

const channels = {
  email: { flag: "emailVerified", form: /^[2-9A-HJ-NP-Z]{6}$/ },
  phone: { flag: "phoneVerified", form: /^\d{6}$/ },
};

/** The code that was sent to an address, once it is there. */
async function codeFor(cloud, address) {
  const deadline = Date.now() + TIMEOUT_MS;
  while (Date.now() < deadline) {
    const messages = await (await fetch(`${cloud.base}/_dev/messages`)).json();
    const message = messages.findLast(({ to }) => to === address);
    if (message) return message.text.split(" ")[0];
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`no message to ${address} in time`);
}

onEveryEdge("verification", {}, (claim) => {
  for (const [channel, { flag, form }] of Object.entries(channels)) {
    claim(`a confirmed ${channel} is an update for the feed`, async ({ cloud, api, join }) => {
      // A number of one's own, so that the message is found.
      const phone = `+98912${String(Math.floor(Math.random() * 1e7)).padStart(7, "0")}`;
      const user = await api.register({ phone });
      const { body } = await api.login({ email: user.email, password: "a good password" });
      const token = body.tokens.accessToken;
      const feed = await join();
      const path = `/users/${user.id}/${channel}/verify`;
      const sent = await api.must(200, "POST", `${path}/send`, { token });
      assert.deepEqual(sent, { ok: true, sent: true, expiresIn: 600 });
      const again = await api.call("POST", `${path}/send`, { token });
      assertRefusal(again, 429, "TOO_MANY_ATTEMPTS");
      assert.match(again.headers.get("retry-after"), /^\d+$/);
      const code = await codeFor(cloud, user[channel]);
      assert.match(code, form);
      const wrong = await api.call("POST", `${path}/confirm`, { token, body: { code: "------" } });
      assertRefusal(wrong, 400, "VALIDATION_ERROR", ["code"]);
      const verified = { ...user, [flag]: true };
      const confirmed = await api.must(200, "POST", `${path}/confirm`, { token, body: { code } });
      assert.deepEqual(confirmed, { ok: true, user: verified });
      assert.deepEqual(await feed.nextAbout(user, "users.updated"), [verified]);
    });
  }
});
