// A plain WebSocket that speaks Engine.IO by hand, for frames the official client would never send and for the exact
// bytes of those it receives.
import WebSocket from "ws";
import { webSocketUrl } from "./edges.mjs";
import { Journal } from "./journal.mjs";

export class Wire {
  #journal = new Journal();
  #socket;

  constructor(cloud, edge) {
    this.#socket = new WebSocket(webSocketUrl(edge, cloud));
    this.#socket.on("message", (data) => {
      // Heartbeats are no frames of interest, but without an answer the server would hang up.
      if (`${data}` === "2") this.#socket.send("3");
      else this.#journal.add(`${data}`);
    });
    // A close follows every error, and that is what the suites look at.
    this.#socket.on("error", () => {});
    this.#socket.on("close", () => this.#journal.add("(closed)"));
  }

  /** A text frame from a string, a binary one from a buffer. */
  send(frame) {
    this.#socket.send(frame);
  }

  /** The next frame that begins like this. */
  next(beginning) {
    return this.#journal.next(`a frame ${beginning}…`, (frame) => frame.startsWith(beginning));
  }

  /** Resolves when the server has closed the connection. */
  closed() {
    return this.#journal.until("the end of the connection", () => this.frames.includes("(closed)") || undefined);
  }

  /** All frames but pings so far; the last one is "(closed)" if the connection is. */
  get frames() {
    return this.#journal.entries;
  }

  /** Waits for the open packet; clients say nothing before it. */
  opened() {
    return this.next("0{");
  }

  /** Joins `/users`; the frame in which the server says so. */
  async join(auth) {
    await this.opened();
    this.send(`40/users,${auth ? JSON.stringify(auth) : ""}`);
    return this.next("40/users,");
  }

  /** Takes the next event of this name; its arguments. */
  async event(name) {
    const frame = await this.next(`42/users,["${name}"`);
    return JSON.parse(frame.slice("42/users,".length)).slice(1);
  }

  close() {
    this.#socket.terminate();
  }
}
