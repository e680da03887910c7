// One socket of the official client on the namespace, and what became of it.
import { signal } from "@preact/signals";
import { io, type Socket } from "socket.io-client";
import {
  NAMESPACE,
  type AuthPayload,
  type ClientToServerEvents,
  type ConnectRefusal,
  type ServerToClientEvents,
} from "../contract/events.ts";
import { passes } from "./answers.ts";
import { type Entrance, socketUrl } from "./config.ts";
import type { Session } from "./session.ts";

export type UsersSocket = Socket<ServerToClientEvents, ClientToServerEvents>;

export type State =
  | { kind: "connecting" }
  | { kind: "connected"; entrance: string; transport: string; recovered: boolean }
  | { kind: "offline" }
  | { kind: "refused"; reason: ConnectRefusal | string };

export class Connection {
  readonly state = signal<State>({ kind: "connecting" });
  readonly socket: UsersSocket;
  #session: Session;
  #entrance: Entrance;
  #endings: (() => void)[] = [];
  /** A refusal may mean a token that has just ended, which is worth one fresh one. */
  #retried = false;

  /** `prepare` gives the socket its handlers before it connects. */
  constructor(session: Session, entrance: Entrance, prepare: (socket: UsersSocket) => void) {
    this.#session = session;
    this.#entrance = entrance;
    this.socket = io(socketUrl + NAMESPACE, {
      ...entrance.options,
      transports: ["websocket"],
      forceNew: true,
      autoConnect: false,
      // Somebody looks at it: after an outage it tries again within three seconds, half of this by chance included.
      reconnectionDelayMax: 2_000,
      auth: (send) => void this.#authenticate(send),
    });
    this.socket.on("connect", () => this.#connected());
    this.socket.on("connect_error", (error) => this.#failed(error));
    this.socket.on("disconnect", (reason) => this.#disconnected(reason));
    this.#endings.push(session.onRenewed((token) => void this.#renew(token)));
    prepare(this.socket);
    const back = () => this.retry();
    addEventListener("online", back);
    this.#endings.push(() => removeEventListener("online", back));
    this.socket.connect();
  }

  /** Tries now, whatever it waits for. */
  retry(): void {
    if (this.socket.connected) return;
    this.state.value = { kind: "connecting" };
    this.socket.disconnect().connect();
  }

  close(): void {
    for (const end of this.#endings) end();
    this.socket.removeAllListeners();
    this.socket.disconnect();
  }

  async #authenticate(send: (auth: AuthPayload) => void): Promise<void> {
    try {
      send({ token: await this.#session.token(), recovery: true });
    } catch (error) {
      if (!passes(error)) return this.close();
      this.state.value = { kind: "offline" };
      // Without a token it would be somebody else, so the connection starts anew, with the client's own back-off.
      this.socket.io.engine.close();
    }
  }

  #connected(): void {
    this.#retried = false;
    const transport = this.socket.io.engine.transport.name;
    this.state.value = { kind: "connected", entrance: this.#entrance.path, transport, recovered: this.socket.recovered };
  }

  #failed({ message }: Error): void {
    // The client goes on by itself unless the service has refused it.
    if (this.socket.active) this.state.value = { kind: "offline" };
    else void this.#refused(message);
  }

  async #refused(reason: string): Promise<void> {
    this.state.value = { kind: "refused", reason };
    if (reason !== "UNAUTHENTICATED" || this.#retried) return;
    this.#retried = true;
    try {
      await this.#session.refresh(await this.#session.token());
      this.socket.connect();
    } catch {
      // The session says itself that it is over, and otherwise the refusal stands.
    }
  }

  #disconnected(reason: Socket.DisconnectReason): void {
    if (reason === "io client disconnect") return;
    this.state.value = { kind: "offline" };
    // After this one the client does not come back by itself.
    if (reason === "io server disconnect") this.socket.connect();
  }

  async #renew(token: string): Promise<void> {
    if (!this.socket.connected) return;
    // Without an answer, or with a refusal, the socket is closed at the end of its token and comes back with the new one.
    await this.socket.timeout(10_000).emitWithAck("auth.renew", { token }).catch(() => {});
  }
}
