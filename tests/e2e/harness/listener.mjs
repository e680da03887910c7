// One socket of the official client and everything it heard.
import { io } from "socket.io-client";
import { complaint } from "./events.mjs";
import { Journal } from "./journal.mjs";

/** What the client itself reports; `onAny` leaves these out. */
const LIFE = ["connect", "connect_error", "disconnect"];

export class Listener {
  /** Every event so far, as `[name, ...arguments]`. */
  heard = [];
  /** What of it the contract does not promise. */
  complaints = [];
  #journal = new Journal();

  /** `recovers` is whether it is to be told offsets. */
  constructor(socket, recovers = false) {
    this.socket = socket;
    this.recovers = recovers;
    socket.onAny((name, ...args) => {
      this.heard.push([name, ...args]);
      this.complaints.push(...[complaint(name, args, this.recovers)].filter(Boolean));
      this.#journal.add({ name, args });
    });
    socket.on("connect_error", ({ message }) => {
      // What the client itself could not do it says in its own words, and tries again.
      if (!socket.active) this.complaints.push(...[complaint("CONNECT_ERROR", [{ message }])].filter(Boolean));
    });
    for (const name of LIFE) socket.on(name, (...args) => this.#journal.add({ name, args: args.map(plain) }));
  }

  static open(cloud, edge, auth, options) {
    // A Manager of its own, unless a test shares one on purpose: tests must not hang together by a connection.
    return new Listener(io(`${cloud.base}/users`, { forceNew: true, ...edge.options, auth, ...options }), auth?.recovery);
  }

  /** Takes the next event of this name, the arguments of which satisfy `matches`. */
  next(name, matches = () => true, timeout) {
    const wanted = (entry) => entry.name === name && matches(...entry.args);
    return this.#journal.next(`"${name}"`, wanted, timeout).then(({ args }) => args);
  }

  /** Takes the next "connect" or "connect_error", whichever the server decides on: `{ name, args }`. */
  outcome() {
    return this.#journal.next("a decision", ({ name }) => name === "connect" || name === "connect_error");
  }

  /** Takes the next "disconnect"; the reason the client gives for it. */
  async gone() {
    const [reason] = await this.next("disconnect");
    return reason;
  }

  /** Takes the next event about this user. */
  nextAbout({ id }, name) {
    return this.next(name, (payload) => payload?.id === id);
  }

  /** What was heard about this user so far. */
  about({ id }) {
    return this.heard.filter(([, payload]) => payload?.id === id);
  }

  /** The names of everything so far, the client's own reports included. */
  get life() {
    return this.#journal.entries.map(({ name }) => name);
  }

  /** Waits until this many events were heard. */
  count(amount, timeout) {
    const enough = () => this.heard.length >= amount || undefined;
    return this.#journal.until(`event number ${amount}`, enough, timeout);
  }

  close() {
    this.socket.disconnect();
  }
}

/** Errors as data, so that they can be compared and printed. */
function plain(value) {
  return value instanceof Error ? { message: value.message, status: httpStatus(value) } : value;
}

/** The HTTP status with which a handshake was refused: by polling it is given, by websocket it is in the text. */
function httpStatus({ description }) {
  if (typeof description === "number") return description;
  return Number(/Unexpected server response: (\d+)/.exec(description?.message)?.[1]) || undefined;
}
