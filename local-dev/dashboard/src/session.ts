// Who is logged in: tokens, kept for a reload and for other tabs, and fresh in time.
import { signal } from "@preact/signals";
import createClient from "openapi-fetch";
import type { paths } from "../contract/rest.ts";
import { Refused, unwrap } from "./answers.ts";
import { apiUrl } from "./config.ts";

export type Role = "admin" | "user";

interface Kept {
  /** The user's id, `admin` for the administrator. */
  id: string;
  email: string;
  accessToken: string;
  refreshToken: string;
  /** By this machine's clock. */
  expiresAt: number;
}

type Tokens = { accessToken: string; refreshToken: string; expiresIn: number };

/** Sockets are to be renewed two minutes before the end of their token, and a minute is for a slow answer. */
const AHEAD = 3 * 60_000;

/** A token this close to its end is not sent any more. */
const TOO_LATE = 20_000;

/** How long a refresh that found nobody waits for the next one. */
const AGAIN = 5_000;

const login = { admin: "/api/v1/auth/admin/login", user: "/api/v1/auth/user/login" } as const;
const refresh = { admin: "/api/v1/auth/admin/refresh", user: "/api/v1/auth/user/refresh" } as const;
const logout = { admin: "/api/v1/auth/admin/logout", user: "/api/v1/auth/user/logout" } as const;

export class Session {
  /** Who is logged in. */
  readonly account = signal<Pick<Kept, "id" | "email"> | null>(null);
  /** Whether it ended by itself. */
  readonly ended = signal(false);
  #role: Role;
  #client = createClient<paths>({ baseUrl: apiUrl });
  #kept: Kept | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #renewed = new Set<(token: string) => void>();
  #refreshing: Promise<void> | null = null;

  constructor(role: Role) {
    this.#role = role;
    this.#take(this.#stored());
    addEventListener("storage", ({ key }) => {
      if (key === this.#key || key === null) this.#take(this.#stored());
    });
    // The timer of a laptop that slept is late.
    document.addEventListener("visibilitychange", () => this.#wake());
    addEventListener("online", () => this.#wake());
  }

  async login(email: string, password: string): Promise<void> {
    const { user, tokens } = await unwrap(this.#client.POST(login[this.#role], { body: { email, password } }));
    this.ended.value = false;
    this.#keep(user, tokens);
  }

  async logout(): Promise<void> {
    const kept = this.#kept;
    this.forget();
    // Whether the service hears of it or not: on this machine it is over.
    const body = { refreshToken: kept?.refreshToken ?? "" };
    if (kept) await this.#client.POST(logout[this.#role], { body }).catch(() => {});
  }

  /** The tokens are no good any more, or not wanted. */
  forget(): void {
    localStorage.removeItem(this.#key);
    this.#take(null);
  }

  /** A token that is good for a while. Throws [`Refused`] if there is none to be had. */
  async token(): Promise<string> {
    if (this.#kept && this.#kept.expiresAt - Date.now() < TOO_LATE) await this.refresh(this.#kept.accessToken);
    if (!this.#kept) throw Refused.unauthenticated();
    return this.#kept.accessToken;
  }

  /** Calls back with every fresh token; the answer ends that. */
  onRenewed(tell: (token: string) => void): () => void {
    this.#renewed.add(tell);
    return () => this.#renewed.delete(tell);
  }

  /** Gets the tokens after this one. Two tabs do it one after the other, and the second finds it done. */
  refresh(stale: string): Promise<void> {
    this.#refreshing ??= this.#alone(() => this.#next(stale)).finally(() => (this.#refreshing = null));
    return this.#refreshing;
  }

  async #next(stale: string): Promise<void> {
    const kept = this.#stored();
    if (!kept || kept.accessToken !== stale) return this.#take(kept);
    try {
      const body = { refreshToken: kept.refreshToken };
      const { user, tokens } = await unwrap(this.#client.POST(refresh[this.#role], { body }));
      this.#keep(user, tokens);
    } catch (error) {
      if (error instanceof Refused && (error.status === 401 || error.status === 403)) {
        this.ended.value = true;
        this.forget();
      }
      throw error;
    }
  }

  #alone<T>(work: () => Promise<T>): Promise<T> {
    return navigator.locks ? (navigator.locks.request(this.#key, work) as Promise<T>) : work();
  }

  #keep({ id, email }: { id: string; email: string }, { accessToken, refreshToken, expiresIn }: Tokens): void {
    const kept: Kept = { id, email, accessToken, refreshToken, expiresAt: Date.now() + expiresIn * 1000 };
    localStorage.setItem(this.#key, JSON.stringify(kept));
    this.#take(kept);
  }

  #take(kept: Kept | null): void {
    const before = this.#kept;
    this.#kept = kept;
    if (before?.id !== kept?.id) this.account.value = kept && { id: kept.id, email: kept.email };
    this.#schedule();
    if (before && kept && before.accessToken !== kept.accessToken) for (const tell of this.#renewed) tell(kept.accessToken);
  }

  #schedule(after = (this.#kept?.expiresAt ?? 0) - AHEAD - Date.now()): void {
    clearTimeout(this.#timer);
    if (this.#kept) this.#timer = setTimeout(() => this.#wake(), Math.max(after, 0));
  }

  #wake(): void {
    if (!this.#kept || this.#kept.expiresAt - Date.now() > AHEAD || !navigator.onLine) return;
    this.refresh(this.#kept.accessToken).catch(() => this.#schedule(AGAIN));
  }

  #stored(): Kept | null {
    try {
      return JSON.parse(localStorage.getItem(this.#key) ?? "null") as Kept | null;
    } catch {
      return null;
    }
  }

  get #key(): string {
    return `moien.session.${this.#role}`;
  }
}
