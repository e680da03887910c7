// The ways a client reaches the service. Every suite about sockets runs over all of them.

/**
 * Where socketioxide, which speaks the protocol at `/socket.io/`, reacts otherwise than the Node server. No client
 * library sends any of this, so none of it is worth a fork of the library; what matters is that it harms nobody else.
 * The keys are those of the suite about malformed frames.
 */
const SOCKETIOXIDE = {
  // It takes a ping for a sign of life, whoever sends it.
  "a ping, which only servers send": "ignored",
  // It looks at the namespace first, and reads the rest only where it has something to do with it.
  "a CONNECT for a namespace that is joined already": "ignored",
  "a CONNECT with an array": "ignored",
  "a CONNECT with broken JSON": "ignored",
  "an object for an event": "ignored",
  "an event for a namespace that was not joined": "ignored",
  "an event for a namespace that does not exist": "ignored",
  "an acknowledgement that is no array": "ignored",
  "a binary event without attachments": "ignored",
  // It leaves the namespace and lets the payload be.
  "a DISCONNECT with a payload": "ignored",
  // It takes a close packet at its word, and other packets out of place for errors.
  "a close packet": "closed",
  "an open packet, which only servers send": "closed",
  "an upgrade packet": "closed",
  "a noop": "closed",
  // It reads names without unescaping them.
  "an event the name of which needs escaping": "closed",
  "an event with a number for a name": "closed",
};

/** API Gateway as it is; here the functions speak the protocol themselves, and react as the Node server does. */
export const GATEWAY = {
  name: "/dev",
  options: { path: "/dev", addTrailingSlash: false, transports: ["websocket"] },
  unlikeNode: {},
};

/** `options` are those of `io()`; `name` begins the title of every test. */
export const EDGES = [
  { name: "/socket.io/ by websocket", options: { transports: ["websocket"] }, unlikeNode: SOCKETIOXIDE },
  { name: "/socket.io/ by polling, then upgraded", options: {}, unlikeNode: SOCKETIOXIDE },
  { name: "/socket.io/ by polling alone", options: { transports: ["polling"] }, unlikeNode: SOCKETIOXIDE },
  GATEWAY,
];

/** Where a plain WebSocket finds this edge. */
export function webSocketUrl(edge, cloud) {
  const { path = "/socket.io", addTrailingSlash = true } = edge.options;
  return `${cloud.base.replace("http:", "ws:")}${path}${addTrailingSlash ? "/" : ""}?EIO=4&transport=websocket`;
}

/** The edges a client may open as a WebSocket from its first byte on; the others end up on one of these. */
export const WEB_SOCKET_EDGES = EDGES.filter(({ options }) => options.transports?.[0] === "websocket");
