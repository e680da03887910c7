// The official JavaScript client in a version of one's choice: node javascript.mjs <package> <url> <token> [path]. What it writes for
// either entrance is what CLIENTS.md says: a path for API Gateway only.
const [, , name, url, token, path] = process.argv;
const { io } = await import(name);

const say = (...line) => console.log(JSON.stringify(line));

const socket = io(`${url}/users`, {
  transports: ["websocket"], ...(path && { path }), reconnection: false, auth: { token },
});
socket.on("connect", () => say("connect"));
socket.on("connect_error", (error) => {
  say("refused", error.message);
  socket.close();
});
socket.on("disconnect", (reason) => {
  say("disconnect", reason);
  socket.close();
});
socket.onAny((event, ...args) => say("event", event, ...args));
