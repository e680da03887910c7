// The user's own view: the account as it is now, and being thrown out.
import { signal } from "@preact/signals";
import { useEffect, useMemo, useRef } from "preact/hooks";
import type { ConnectRefusal, PublicUser } from "../../contract/events.ts";
import { Refused, unwrap } from "../answers.ts";
import { Connection } from "../connection.ts";
import { clear, notice, show, type Notice } from "../notice.ts";
import { Rest } from "../rest.ts";
import type { Session } from "../session.ts";
import { dateTime, entrance, texts } from "../settings.ts";
import { Done, Problem, useAction } from "./action.tsx";
import { ConnectionState } from "./ConnectionState.tsx";
import { Login } from "./Login.tsx";
import { Avatar, StatusBadge } from "./marks.tsx";
import { Details, Form, of } from "./UserDialog.tsx";

const BANNED: ConnectRefusal = "ACCOUNT_BANNED";

/** A user's socket hears of the ban alone, so other changes are asked for. */
const LOOK = 3_000;

export function AccountPage({ session }: { session: Session }) {
  const t = texts.value;
  const account = session.account.value;
  if (notice.value) return <Out said={notice.value} />;
  if (!account) return <Login session={session} title={t.login.user} about={t.login.userAbout} />;
  return <Account key={`${account.id} ${entrance.value.id}`} session={session} />;
}

function Out({ said: { kind, message, at } }: { said: Notice }) {
  const t = texts.value.account;
  return (
    <section class="card login out" role="alert" data-test="out">
      <h1>{t.out[kind]}</h1>
      {message && <p lang="en" dir="auto">{message}</p>}
      <p class="muted">{t.outAbout} {at && <bdi>{dateTime.value.format(new Date(at))}</bdi>}</p>
      <button onClick={clear}>{t.back}</button>
    </section>
  );
}

class Own {
  readonly user = signal<PublicUser | null>(null);
  readonly error = signal<unknown>(null);
  readonly rest: Rest;
  readonly connection: Connection;
  #asked = 0;
  #shown = 0;

  constructor(session: Session) {
    // A refusal means that the account is gone or banned. The socket says so in better words, if the session lasts so long.
    this.rest = new Rest(session, { replaces: false });
    this.connection = new Connection(session, entrance.value, (socket) => {
      socket.on("connect", () => void this.look());
      const out = (said: Notice) => {
        show(said);
        this.connection.close();
        session.forget();
      };
      socket.on("account.banned", out);
      // Banned while nobody listened.
      socket.on("connect_error", ({ message }) => message === BANNED && out({ kind: "banned" }));
    });
  }

  async look(): Promise<void> {
    const asked = ++this.#asked;
    try {
      const { user } = await unwrap(this.rest.client.GET("/api/v1/auth/me"));
      // An answer that a later one has overtaken is older than what is shown.
      if (asked < this.#shown) return;
      this.#shown = asked;
      if ("fullName" in user) this.user.value = user;
      this.error.value = null;
    } catch (error) {
      // Of a ban the socket says more.
      if (!(error instanceof Refused)) this.error.value = error;
    }
  }
}

function Account({ session }: { session: Session }) {
  const t = texts.value;
  const way = entrance.value;
  const own = useMemo(() => new Own(session), [session, way]);
  useEffect(() => {
    void own.look();
    const timer = setInterval(() => document.visibilityState === "visible" && void own.look(), LOOK);
    return () => {
      clearInterval(timer);
      own.connection.close();
    };
  }, [own]);
  const user = own.user.value;
  return (
    <div class="account">
      <div class="head">
        <h1>{user ? t.account.greeting(user.fullName) : t.pages.account}</h1>
        <ConnectionState connection={own.connection} />
        <div class="who"><button class="quiet" onClick={() => void session.logout()}>{t.logout}</button></div>
      </div>
      <Problem error={own.error.value} />
      {user && (
        <section class="card profile" data-test="account">
          <header>
            <Avatar user={user} />
            <h2><bdi>{user.fullName}</bdi></h2>
            <StatusBadge user={user} />
          </header>
          <Details user={user} />
          <RenameSelf own={own} user={user} />
        </section>
      )}
    </div>
  );
}

function RenameSelf({ own, user }: { own: Own; user: PublicUser }) {
  const t = texts.value.user.rename;
  const field = useRef<HTMLInputElement>(null);
  const action = useAction(async () => {
    const body = { fullName: field.current!.value };
    await unwrap(own.rest.client.PATCH("/api/v1/users/{id}", { ...of(user), body }));
    await own.look();
  });
  return (
    <Form title={t.title} action={action}>
      <label>{t.label}<input ref={field} name="fullName" defaultValue={user.fullName} required dir="auto" /></label>
      <div class="line"><button disabled={action.pending}>{t.submit}</button><span class="muted small">{t.hint}</span></div>
      <Done action={action} />
    </Form>
  );
}
