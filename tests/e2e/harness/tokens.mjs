// Forges access tokens: right in everything except what a test wants to be wrong.
import { createHmac } from "node:crypto";
import { TOKEN_SECRET } from "./cloud.mjs";

const HASHES = { HS256: "sha256", HS384: "sha384", HS512: "sha512" };

const encode = (object) => Buffer.from(JSON.stringify(object)).toString("base64url");

const seconds = () => Math.floor(Date.now() / 1000);

/** A token for `sub`; `claims` override, `alg: "none"` leaves it unsigned. */
export function forge(sub, { alg = "HS256", secret = TOKEN_SECRET, ...claims } = {}) {
  const now = seconds();
  const usual = { sub, role: "user", iss: "moien-realtime", aud: "moien-delivery", iat: now, exp: now + 900 };
  const content = `${encode({ alg, typ: "JWT" })}.${encode({ ...usual, ...claims })}`;
  const signature = alg === "none" ? "" : createHmac(HASHES[alg], secret).update(content).digest("base64url");
  return `${content}.${signature}`;
}

/** Claims of a token that has just run out. */
function expired() {
  return { iat: seconds() - 901, exp: seconds() - 1 };
}

/** Every token that proves nothing, by what is wrong with it. */
export function worthless(sub, claims) {
  const token = (flaw) => forge(sub, { ...claims, ...flaw });
  return {
    "garbage": "garbage",
    "an empty token": "",
    "a token of dots": "..",
    "a number as a token": 5,
    "an object as a token": { sub, ...claims },
    "an expired token": token(expired()),
    "an unsigned token": token({ alg: "none" }),
    "an HS512 token": token({ alg: "HS512" }),
    "a token of another key": token({ secret: "some other secret that is long enough" }),
    "a token of another issuer": token({ iss: "somebody-else" }),
    "a token for another audience": token({ aud: "somebody-else" }),
    "a token for an unheard-of role": token({ role: "root" }),
  };
}
