// One user: what is known, and what an administrator may do, each with its error where it happened.
import type { ComponentChildren } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import type { PublicUser } from "../../contract/events.ts";
import type { Feed } from "../feed.ts";
import { dateTime, texts } from "../settings.ts";
import { Done, Problem, useAction, type Action } from "./action.tsx";
import { Icon } from "./Icon.tsx";
import { Avatar, StatusBadge } from "./marks.tsx";
import { Verification } from "./Verification.tsx";

interface Props {
  feed: Feed;
  id: string;
  /** Of the table, so that the dialog follows it. */
  version: number;
  close(): void;
}

export function UserDialog({ feed, id, close }: Props) {
  const t = texts.value.user;
  const dialog = useRef<HTMLDialogElement>(null);
  useLayoutEffect(() => {
    const element = dialog.current!;
    const before = document.activeElement;
    element.showModal();
    return () => {
      element.close();
      // A dialog that leaves the page takes the focus with it.
      if (before instanceof HTMLElement) before.focus();
    };
  }, []);
  const user = feed.table.get(id);
  const missing = feed.loading.value.kind === "loading" ? texts.value.table.loading : t.gone;
  return (
    <dialog ref={dialog} class="drawer" aria-labelledby="user-title" data-test="user"
      onCancel={(event) => {
        event.preventDefault();
        close();
      }}
      onClick={(event) => event.target === dialog.current && close()}>
      <div class="sheet">
        <header>
          {user && <Avatar user={user} />}
          <h2 id="user-title"><bdi>{user?.fullName ?? missing}</bdi></h2>
          {user && <StatusBadge user={user} />}
          <button class="quiet square" aria-label={t.close} onClick={close}><Icon name="close" /></button>
        </header>
        {user && <Details user={user} />}
        {user && <Actions feed={feed} user={user} />}
      </div>
    </dialog>
  );
}

export function Details({ user }: { user: PublicUser }) {
  const t = texts.value.user;
  const day = (at: string) => dateTime.value.format(new Date(at));
  const facts: [string, ComponentChildren][] = [
    [t.email, <bdi>{user.email}</bdi>],
    [t.phone, <bdi dir="ltr">{user.phone}</bdi>],
    [t.country, <bdi>{`${user.countryName} (${user.countryCode})`}</bdi>],
    [t.registered, day(user.createdAt)],
    ...(user.bannedAt ? [[t.bannedAt, day(user.bannedAt)] as [string, ComponentChildren]] : []),
    [t.photo, user.photoUrl ? <bdi dir="ltr">{user.photoUrl}</bdi> : t.none],
    [t.id, <code dir="ltr">{user.id}</code>],
  ];
  return <dl class="facts">{facts.map(([name, fact]) => <div key={name}><dt>{name}</dt><dd>{fact}</dd></div>)}</dl>;
}

function Actions({ feed, user }: { feed: Feed; user: PublicUser }) {
  return (
    <>
      <Rename feed={feed} user={user} />
      <Access feed={feed} user={user} />
      <Verification feed={feed} user={user} />
      <Delete feed={feed} user={user} />
    </>
  );
}

export interface Part {
  feed: Feed;
  user: PublicUser;
}

/** The path of a user's routes. */
export const of = ({ id }: PublicUser) => ({ params: { path: { id } } });

export function Form({ title, action, children }: { title: string; action: Action; children: ComponentChildren }) {
  return (
    <form class="part" aria-label={title} onSubmit={(event) => {
      event.preventDefault();
      void action.run();
    }}>
      <h3>{title}</h3>
      {children}
      <Problem error={action.error} />
    </form>
  );
}

function Rename({ feed, user }: Part) {
  const t = texts.value.user.rename;
  const field = useRef<HTMLInputElement>(null);
  const action = useAction(() => {
    const body = { fullName: field.current!.value };
    return feed.change(user.id, () => feed.rest.client.PATCH("/api/v1/users/{id}", { ...of(user), body }));
  });
  return (
    <Form title={t.title} action={action}>
      <label>
        {t.label}
        <input ref={field} name="fullName" defaultValue={user.fullName} required dir="auto" aria-describedby="name-hint" />
      </label>
      <div class="line">
        <button disabled={action.pending}>{t.submit}</button>
        <span id="name-hint" class="muted small">{t.hint}</span>
      </div>
      <Done action={action} />
    </Form>
  );
}

function Access({ feed, user }: Part) {
  const t = texts.value.user;
  const reason = useRef<HTMLTextAreaElement>(null);
  const action = useAction(() => {
    if (user.isBanned) return feed.change(user.id, () => feed.rest.client.POST("/api/v1/users/{id}/unban", of(user)));
    const body = { reason: reason.current!.value };
    return feed.change(user.id, () => feed.rest.client.POST("/api/v1/users/{id}/ban", { ...of(user), body }));
  });
  return (
    <Form title={t.ban.title} action={action}>
      {user.isBanned ? (
        <>
          <p class="muted">{t.unban.about}</p>
          <div class="line"><button disabled={action.pending}>{t.unban.submit}</button></div>
        </>
      ) : (
        <>
          <label>
            {t.ban.label}
            <textarea ref={reason} name="reason" rows={2} required dir="auto" aria-describedby="ban-hint" />
          </label>
          <div class="line">
            <button class="danger" disabled={action.pending}>{t.ban.submit}</button>
            <span id="ban-hint" class="muted small">{t.ban.hint}</span>
          </div>
        </>
      )}
      <Done action={action} />
    </Form>
  );
}

function Delete({ feed, user }: Part) {
  const t = texts.value.user.delete;
  const [asking, ask] = useState<boolean>();
  const next = useRef<HTMLButtonElement>(null);
  // The button that had the focus is gone with the question, and with its answer.
  useLayoutEffect(() => {
    if (asking !== undefined) next.current?.focus();
  }, [asking]);
  const action = useAction(() => feed.change(user.id, () => feed.rest.client.DELETE("/api/v1/users/{id}", of(user))));
  return (
    <section class="part" aria-label={t.title}>
      <h3>{t.title}</h3>
      {asking ? (
        <div role="group" aria-labelledby="delete-ask">
          <p id="delete-ask">{t.ask(user.fullName)}</p>
          <div class="line">
            <button class="danger solid" disabled={action.pending} onClick={() => void action.run()}>{t.confirm}</button>
            <button ref={next} onClick={() => ask(false)}>{t.keep}</button>
          </div>
        </div>
      ) : (
        <button ref={next} class="danger" onClick={() => ask(true)}>{t.submit}</button>
      )}
      <Problem error={action.error} />
    </section>
  );
}
