// Origins: browsers of foreign pages are refused at the handshake, those of listed ones and native clients are not.
import assert from "node:assert/strict";
import { onEveryEdge, onOneCloud } from "../harness/stage.mjs";

const LISTED = ["http://localhost:4200", "http://127.0.0.1:4200", "http://localhost:5173", "http://127.0.0.1:5173"];
const FOREIGN = ["http://localhost:4201", "https://localhost:4200", "http://localhost:4200.evil.example", "null"];

const from = (origin) => ({ extraHeaders: { origin } });

onEveryEdge("sockets and origins", {}, (claim) => {
  claim("a foreign origin is refused with 403", async ({ open }) => {
    for (const origin of FOREIGN) {
      const [error] = await open({}, from(origin)).next("connect_error");
      assert.equal(error.status, 403, `${origin}: ${error.message}`);
    }
  });

  claim("a foreign origin is refused whatever its token", async ({ api, open }) => {
    const [error] = await open({ token: await api.admin() }, from(FOREIGN[0])).next("connect_error");
    assert.equal(error.status, 403);
  });

  claim("each listed origin and no origin hear the feed", async ({ api, join }) => {
    const feeds = [await join()];
    for (const origin of LISTED) feeds.push(await join({}, from(origin)));
    const user = await api.register();
    for (const feed of feeds) await feed.nextAbout(user, "users.created");
  });
});

const CHOSEN = { origins: "https://admin.example.com,https://example.com" };

onEveryEdge("sockets and chosen origins", CHOSEN, (claim) => {
  claim("the given origins replace the listed ones", async ({ join, open }) => {
    await join({}, from("https://example.com"));
    await join({}, from("https://admin.example.com"));
    const [error] = await open({}, from(LISTED[0])).next("connect_error");
    assert.equal(error.status, 403);
  });
});

onOneCloud("browsers and origins", {}, (claim) => {
  const preflight = (api, origin, method) =>
    api.call("OPTIONS", "/users/8f14e45f-ceea-4672-a8f5-2d9f4bd0a3c1", {
      headers: {
        origin,
        "access-control-request-method": method,
        "access-control-request-headers": "authorization,content-type",
      },
    });

  claim("a preflight from a listed origin is answered with all it needs", async ({ api }) => {
    for (const origin of LISTED) {
      for (const method of ["GET", "POST", "PATCH", "DELETE"]) {
        const { status, headers } = await preflight(api, origin, method);
        assert.ok(status === 200 || status === 204, `${status}`);
        assert.equal(headers.get("access-control-allow-origin"), origin);
        assert.ok(headers.get("access-control-allow-methods").split(/, ?/).includes(method));
        const allowed = headers.get("access-control-allow-headers").toLowerCase().split(/, ?/);
        assert.ok(allowed.includes("authorization") && allowed.includes("content-type"), `${allowed}`);
      }
    }
  });

  claim("a preflight from a foreign origin is not", async ({ api }) => {
    for (const origin of FOREIGN) {
      const { headers } = await preflight(api, origin, "PATCH");
      assert.equal(headers.get("access-control-allow-origin"), null, origin);
    }
  });

  claim("answers, refusals too, may be read by listed origins only", async ({ api }) => {
    for (const [path, expected] of [["/health", 200], ["/users", 401], ["/nowhere", 404]]) {
      for (const [origin, allowed] of [[LISTED[0], LISTED[0]], [FOREIGN[0], null]]) {
        const { status, headers } = await api.call("GET", path, { headers: { origin } });
        assert.equal(status, expected, path);
        assert.equal(headers.get("access-control-allow-origin"), allowed, `${path} for ${origin}`);
      }
    }
  });

  claim("pages of listed origins may read the Link header", async ({ api }) => {
    const { headers } = await api.call("GET", "/health", { headers: { origin: LISTED[0] } });
    assert.match(headers.get("access-control-expose-headers") ?? "", /\blink\b/i);
  });

  claim("pages of listed origins may poll", async ({ cloud }) => {
    for (const [origin, allowed] of [[LISTED[0], LISTED[0]], [FOREIGN[0], null]]) {
      const answer = await fetch(`${cloud.base}/socket.io/?EIO=4&transport=polling`, { headers: { origin } });
      await answer.text();
      assert.equal(answer.headers.get("access-control-allow-origin"), allowed);
      assert.equal(answer.status, allowed ? 200 : 403);
    }
  });
});
