// The exact shapes of the contract: no key less, none more.
import assert from "node:assert/strict";

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const ISO = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

const PUBLIC_USER = [
  "id", "fullName", "countryCode", "countryName", "phone", "isBanned", "bannedAt", "phoneVerified", "email",
  "emailVerified", "photoUrl", "createdAt",
];

export function assertKeys(object, keys) {
  assert.deepEqual(Object.keys(object).sort(), [...keys].sort());
}

/** A PublicUser; `expected` are the values that are known beforehand. */
export function assertPublicUser(user, expected = {}) {
  assertKeys(user, PUBLIC_USER);
  assert.match(user.id, UUID);
  assert.match(user.createdAt, ISO);
  assert.deepEqual({ ...user, ...expected }, user);
}

/** The payload of `account.banned`. */
export function assertNotice(notice, kind) {
  assertKeys(notice, ["kind", "message", "at"]);
  assert.equal(notice.kind, kind);
  assert.equal(notice.message, "Your account has been disabled by an administrator.");
  assert.match(notice.at, ISO);
}

/** `{"statusCode","message","error"}`, and for a 400 which fields are wrong. */
export function assertRefusal({ status, headers, body }, expectedStatus, code, fields) {
  assert.equal(status, expectedStatus, JSON.stringify(body));
  assert.match(headers.get("content-type"), /^application\/json/);
  assertKeys(body, ["statusCode", "message", "error", ...(fields ? ["details"] : [])]);
  assert.equal(body.statusCode, expectedStatus);
  assert.equal(body.message, code);
  assert.ok(body.error.length > 0);
  if (!fields) return;
  for (const detail of body.details) {
    assertKeys(detail, ["field", "message"]);
    assert.ok(detail.message.length > 0);
  }
  assert.deepEqual(body.details.map(({ field }) => field).sort(), [...fields].sort());
}
