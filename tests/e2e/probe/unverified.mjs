// Each line of local-dev/emulator/README.md about what nobody could tell us of the real gateway: by which line of the report it
// shows, or where it does where a client cannot see it. A suite holds this and that list together.

export const UNVERIFIED = [
  { label: "close of DELETE", line: "close code of DELETE" },
  {
    label: "pings of WebSocket",
    what: "a WebSocket ping counts as activity",
    assumed: "yes",
    where: "nowhere while the heartbeat runs, which lets no connection be idle for ten minutes",
  },
  { label: "answers without a body", line: "after a pong the client hears" },
  {
    label: "`$connect` that fails",
    what: "status of a $connect that fails, or takes too long",
    assumed: "502, 504",
    where: "in the execution log of the socket API, when it happens",
  },
  {
    label: "throttled messages",
    what: "frame that answers a message beyond the stage's throttle",
    assumed: '{"message":"Too Many Requests",…}, a handshake 429',
    where: "at a client that floods, and in ClientError of the socket API",
  },
  {
    label: "throttles of a stage",
    what: "what a stage's throttle counts",
    assumed: "each route for itself",
    where: "in Count and ClientError of the socket API under load",
  },
  {
    label: "time limits",
    what: "both time limits end a connection with",
    assumed: "1001 Going away",
    where: "in the code that clients report, of two hours the first",
  },
  { label: "a client that does not read", line: "a client that does not read" },
  { label: "a slash behind the stage", line: "the official client with a slash behind the path" },
  { label: "the service's own origin", line: "Origin: its own address" },
  { label: "subprotocols", line: "of the subprotocols a client offers, it gets back" },
  {
    label: "`routeKey` and variables",
    what: "routeKey and variables of a REST event",
    assumed: "as declared, decoded",
    where: "in the event; the functions read neither",
  },
  {
    label: "too much of a header",
    what: "status of a request line with headers over 10,240 bytes",
    assumed: "431",
    where: "at a REST request with a cookie of 11 KB",
  },
  { label: "preflights", line: "preflight of a listed origin: status" },
  { label: "texts of refusals", line: "text of the gateway's own 404" },
  { label: "HTTP of `@connections`", line: "HTTP version of @connections" },
];
