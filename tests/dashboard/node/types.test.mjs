// The generated types with the official client: what is right compiles under `--strict`, and what is misspelt does not.
import assert from "node:assert/strict";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import ts from "typescript";

const HERE = fileURLToPath(new URL("./program.ts", import.meta.url));
const EVENTS = "../../../local-dev/dashboard/contract/events.ts";

const HEAD = `
  import { io, type Socket } from "socket.io-client";
  import { NAMESPACE, type AccountBanned, type AuthPayload, type ClientToServerEvents, type ConnectRefusal,
    type PublicUser, type ServerToClientEvents } from "${EVENTS}";
  const auth: AuthPayload = { token: "" };
  const socket: Socket<ServerToClientEvents, ClientToServerEvents> = io("http://localhost:3000" + NAMESPACE, { auth });
`;

/** What the compiler says of this text behind [`HEAD`]. */
function complaints(text) {
  const options = {
    strict: true,
    noEmit: true,
    skipLibCheck: true,
    target: ts.ScriptTarget.ES2022,
    module: ts.ModuleKind.ESNext,
    moduleResolution: ts.ModuleResolutionKind.Bundler,
    allowImportingTsExtensions: true,
    types: [],
  };
  const host = ts.createCompilerHost(options);
  const { getSourceFile, fileExists, readFile } = host;
  host.fileExists = (name) => name === HERE || fileExists(name);
  host.readFile = (name) => (name === HERE ? HEAD + text : readFile(name));
  host.getSourceFile = (name, ...rest) =>
    name === HERE ? ts.createSourceFile(name, HEAD + text, ts.ScriptTarget.ES2022) : getSourceFile(name, ...rest);
  const program = ts.createProgram([HERE], options, host);
  return ts.getPreEmitDiagnostics(program).map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, "\n"));
}

test("every event and the renewal compile with the official client's types", () => {
  const text = `
    socket.on("users.created", (user) => user.fullName.length);
    socket.on("users.updated", (user: PublicUser) => user.photoUrl?.length);
    socket.on("users.deleted", ({ id }) => id.length);
    const recovering: AuthPayload = { token: "", recovery: true };
    socket.on("users.updated", (user, offset) => user.id.length + (offset?.length ?? 0));
    socket.on("account.banned", ({ kind, message, at }: AccountBanned) => kind === "banned" || kind === "deleted");
    socket.on("connect_error", ({ message }) => (message as ConnectRefusal) === "ACCOUNT_BANNED");
    const answer = await socket.emitWithAck("auth.renew", { token: "" });
    const end: string = answer.ok ? answer.expiresAt : answer.message;
    export {};
  `;
  assert.deepEqual(complaints(text), []);
});

const refused = {
  "a misspelt event": `socket.on("users.create", () => {});`,
  "a misspelt event that is emitted": `socket.emit("auth.renewal", { token: "" }, () => {});`,
  "a field that an event does not have": `socket.on("users.created", (user) => user.name);`,
  "a field of another event": `socket.on("users.deleted", (gone) => gone.fullName);`,
  "a user without one of its fields": `
    const user: PublicUser = { id: "", fullName: "", countryCode: "", countryName: "", phone: "", isBanned: false,
      bannedAt: null, phoneVerified: false, email: "", emailVerified: false, createdAt: "" };`,
  "null where there is always a text": `socket.on("users.updated", (user) => { user.email = null; });`,
  "a renewal without a token": `socket.emit("auth.renew", {}, () => {});`,
  "the end of a renewal that may be refused": `(await socket.emitWithAck("auth.renew", { token: "" })).expiresAt;`,
  "an offset of an event that is in no log": `
    const listener: ServerToClientEvents["account.banned"] = (banned: AccountBanned, offset: string) => {};`,
  "a kind that there is not": `socket.on("account.banned", ({ kind }) => kind === "paused");`,
  "a refusal that there is not": `const refusal: ConnectRefusal = "FORBIDDEN";`,
};
for (const [what, text] of Object.entries(refused)) {
  test(`the compiler refuses ${what}`, () => assert.equal(complaints(`${text} export {};`).length, 1));
}
