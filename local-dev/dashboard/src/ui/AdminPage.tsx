// The administrator's page: the table, what is going on, and one user in a dialog.
import { useEffect, useMemo } from "preact/hooks";
import { entrances } from "../config.ts";
import { Feed } from "../feed.ts";
import { go, route } from "../route.ts";
import type { Session } from "../session.ts";
import { chooseEntrance, entrance, number, texts } from "../settings.ts";
import { explained } from "./action.tsx";
import { ActivityPanel } from "./ActivityPanel.tsx";
import { ConnectionState } from "./ConnectionState.tsx";
import { Login } from "./Login.tsx";
import { Toolbar } from "./Toolbar.tsx";
import { UserDialog } from "./UserDialog.tsx";
import { UserTable } from "./UserTable.tsx";
import { matching } from "../search.ts";

export function AdminPage({ session }: { session: Session }) {
  const t = texts.value;
  const account = session.account.value;
  if (!account) return <Login session={session} title={t.login.admin} about={t.login.adminAbout} />;
  // Another account or another way in is another feed.
  return <Users key={`${account.id} ${entrance.value.id}`} session={session} email={account.email} />;
}

function Users({ session, email }: { session: Session; email: string }) {
  const t = texts.value;
  const way = entrance.value;
  const feed = useMemo(() => new Feed(session, way), [session, way]);
  useEffect(() => () => feed.close(), [feed]);
  // Anew with every change of the table, at most once a frame.
  const version = feed.version.value;
  const current = route.value.page === "users" ? route.value : null;
  const rows = useMemo(
    () => matching(feed.table.rows, current?.query ?? "", current?.status ?? "all"),
    [feed, version, current?.query, current?.status],
  );
  const loading = feed.loading.value;
  return (
    <div class="users">
      <div class="head">
        <h1>{t.pages.users}</h1>
        <ConnectionState connection={feed.connection} />
        <div class="who">
          {entrances.length > 1 && (
            <label>
              <span class="hidden">{t.entrance.label}</span>
              <select class="quiet" data-test="entrance" value={way.id}
                onChange={(event) => chooseEntrance(event.currentTarget.value)}>
                {entrances.map(({ id, path }) => (
                  <option key={id} value={id}>{`\u2068${t.entrance[id as "socketio" | "gateway"]} ${path}\u2069`}</option>
                ))}
              </select>
            </label>
          )}
          <bdi class="muted email">{email}</bdi>
          <button class="quiet" data-test="logout" onClick={() => void session.logout()}>{t.logout}</button>
        </div>
      </div>
      <div class="columns">
        <section class="card list" aria-label={t.pages.users}>
          <Toolbar />
          {loading.kind === "failed" && (
            <div class="problem line" role="alert">
              <span>{`${t.table.failed}: ${explained(loading.error)}`}</span>
              <button onClick={() => void feed.load()}>{t.table.again}</button>
            </div>
          )}
          <UserTable feed={feed} rows={rows} version={version} />
          <footer class="foot">
            <span data-test="count" aria-live="polite">{t.table.count(rows.length, feed.table.rows.length, number.value)}</span>
            <span class="muted" data-test="loading">{loading.kind === "loading" ? t.table.loading : ""}</span>
          </footer>
        </section>
        <ActivityPanel activity={feed.activity} />
      </div>
      {current?.user && (
        <UserDialog key={current.user} feed={feed} id={current.user} version={version}
          close={() => go({ ...current, user: null })} />
      )}
    </div>
  );
}
