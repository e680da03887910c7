// The namespace `/users`, open to everybody like the feed of `local-dev` without a token.
import { WebSocketGateway, WebSocketServer } from "@nestjs/websockets";
import type { Namespace } from "socket.io";
import type { User } from "./store.js";

@WebSocketGateway({ namespace: "users" })
export class Feed {
  @WebSocketServer() private readonly namespace!: Namespace;

  tell(event: string, user: User): void {
    this.namespace.emit(event, user);
  }
}
