// The events of Moien Realtime, generated from the types of the service by
// `cargo run -p local-dev -- contract --out <folder>`. Not to be edited.

/** The namespace all events are emitted on: `io(url + NAMESPACE)`. */
export const NAMESPACE = "/users";

/**
 * What a client hears, as the first type of the official client's `Socket`. Sockets that asked for recovery are told
 * an offset as well, which the client keeps by itself.
 */
export interface ServerToClientEvents {
  /** Somebody registered. The feed: administrators, and sockets without a token where those are allowed. */
  "users.created": (payload: PublicUser, offset?: string) => void;
  /** Something public of a user changed: name, photo, verification, ban or unban. The feed: administrators, and sockets without a token where those are allowed. */
  "users.updated": (payload: PublicUser, offset?: string) => void;
  /** A user was deleted. The feed: administrators, and sockets without a token where those are allowed. */
  "users.deleted": (payload: UserDeleted, offset?: string) => void;
  /** A user was banned or deleted. The user's own sockets, which are disconnected after it. */
  "account.banned": (payload: AccountBanned) => void;
}

/** What a client emits, as the second type of the official client's `Socket`. */
export interface ClientToServerEvents {
  /** Keeps the socket beyond the end of its token. */
  "auth.renew": (payload: AuthRenew, acknowledge: (answer: AuthRenewAnswer) => void) => void;
}

/** What everyone may see of a user: REST answers and event payloads. All keys are always present. */
export interface PublicUser {
  /** UUID. */
  id: string;
  /** At least three words. */
  fullName: string;
  /** ISO 3166 alpha-2, or `XK` for Kosovo. */
  countryCode: string;
  /** Free text. */
  countryName: string;
  /** E.164. */
  phone: string;
  /** Whether the account is disabled. */
  isBanned: boolean;
  /** ISO 8601 with milliseconds and Z, or null. */
  bannedAt: string | null;
  /** Whether the phone number is confirmed. */
  phoneVerified: boolean;
  /** The address as typed at registration: before the `@` it is ASCII, its domain may be in any script. */
  email: string;
  /** Whether the address is confirmed. */
  emailVerified: boolean;
  /** https URL or null. */
  photoUrl: string | null;
  /** ISO 8601 with milliseconds and Z. */
  createdAt: string;
}

/** The user who is gone. */
export interface UserDeleted {
  /** UUID. */
  id: string;
}

/** That an account is disabled, for its user. */
export interface AccountBanned {
  /** What was done to the account. */
  kind: AccountBannedKind;
  /** For people, in English. */
  message: string;
  /** ISO 8601 with milliseconds and Z. */
  at: string;
}

/** What was done to an account. */
export type AccountBannedKind = "banned" | "deleted";

/** What the client's `auth` option holds. Other keys are not looked at. */
export interface AuthPayload {
  /** The `accessToken` of a login or a refresh. Without it the socket hears the feed where that is allowed. */
  token?: string | null;
  /** Whether the socket can be recovered: each event of the feed then has an offset as second argument, and the client's `socket.recovered` says after a reconnection whether it was told all it had missed. Only `true` asks for it. */
  recovery?: boolean;
}

/** The payload of a CONNECT_ERROR: `error.message` in `connect_error` of the official client. */
export interface ConnectRefused {
  /** The reason. */
  message: ConnectRefusal;
}

/** Why a CONNECT is refused. */
export type ConnectRefusal = "UNAUTHENTICATED" | "ACCOUNT_BANNED" | "Invalid namespace";

/** A fresh token for a socket, of the account it joined as. */
export interface AuthRenew {
  /** The `accessToken` of a login or a refresh. */
  token: string;
}

/** What `auth.renew` is acknowledged with. */
export type AuthRenewAnswer = AuthRenewed | AuthRenewRefused;

/** Until when a socket may stay. */
export interface AuthRenewed {
  /** Always true. */
  ok: true;
  /** ISO 8601 with milliseconds and Z. */
  expiresAt: string;
}

/** Why a token does not let a socket stay. */
export interface AuthRenewRefused {
  /** Always false. */
  ok: false;
  /** `UNAUTHENTICATED` also for the token of another account. */
  message: Refusal;
}

/** Why somebody may not join, or not stay. Final: another try with the same token is answered alike. */
export type Refusal = "UNAUTHENTICATED" | "ACCOUNT_BANNED";
