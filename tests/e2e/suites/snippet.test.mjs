// The snippet of the documentation, run as it is written there: only the port differs.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { TIMEOUT_MS } from "../harness/deadline.mjs";
import { onOneCloud } from "../harness/stage.mjs";

const SNIPPET = `const socket = io("http://localhost:3000/users", { transports: ["websocket"] });`;

const LISTENING = `
  socket.on("connect", () => console.log("connected"));
  socket.on("connect_error", (error) => console.log(error.message));
  socket.on("users.created", (...args) => {
    console.log(JSON.stringify(args));
    socket.disconnect();
  });`;

/** Runs a program of its own, like anybody who pastes the snippet; `started` is called when it says "connected". */
async function run(port, started) {
  const program = `import { io } from "socket.io-client";\n${SNIPPET.replace("3000", port)}${LISTENING}`;
  const running = promisify(execFile)(process.execPath, ["--input-type=module", "--eval", program], {
    cwd: import.meta.dirname ?? new URL(".", import.meta.url),
    timeout: TIMEOUT_MS,
  });
  running.child.stdout.once("data", started);
  const { stdout } = await running;
  return stdout.trimEnd().split("\n");
}

onOneCloud("the snippet", {}, (claim) => {
  claim("prints connected, and a registration arrives in it", async ({ cloud, api }) => {
    let registration;
    const lines = await run(cloud.port, () => (registration = api.register()));
    assert.deepEqual(lines, ["connected", JSON.stringify([await registration])]);
  });
});
