/// <reference types="vite/client" />

interface ImportMetaEnv {
  /** URL of the HTTP API of a deployed stack. */
  readonly VITE_API_URL?: string;
  /** URL of its WebSocket API, with https and without the stage. */
  readonly VITE_SOCKET_URL?: string;
  /** The stage of it, as a path: `/dev`. */
  readonly VITE_SOCKET_PATH?: string;
}
