// Where the service is. Without a setting: the machine the page comes from.
import type { ManagerOptions, SocketOptions } from "socket.io-client";

const { VITE_API_URL, VITE_SOCKET_URL, VITE_SOCKET_PATH, DEV } = import.meta.env;

const here = DEV ? `http://${location.hostname}:3000` : location.origin;

/** REST, without `/api/v1`. */
export const apiUrl: string = trimmed(VITE_API_URL || here);

/** Sockets; on AWS another address than that of REST. */
export const socketUrl: string = trimmed(VITE_SOCKET_URL || apiUrl);

/** A way in for sockets. */
export interface Entrance {
  id: string;
  path: string;
  options: Partial<ManagerOptions & SocketOptions>;
}

const gateway = (path: string): Entrance => ({ id: "gateway", path, options: { path, addTrailingSlash: false } });

/** A deployed stack has API Gateway alone; local-dev has socketioxide as well. */
export const entrances: readonly [Entrance, ...Entrance[]] = VITE_SOCKET_URL
  ? [gateway(VITE_SOCKET_PATH || "/dev")]
  : [{ id: "socketio", path: "/socket.io/", options: {} }, gateway("/dev")];

function trimmed(url: string): string {
  return url.replace(/\/+$/, "");
}
