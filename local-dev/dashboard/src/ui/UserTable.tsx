// The table. Only the rows in view are in the page, so that ten thousand scroll like ten.
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import type { PublicUser } from "../../contract/events.ts";
import type { Feed } from "../feed.ts";
import { go, route } from "../route.ts";
import { date, texts } from "../settings.ts";
import type { Touch } from "../table.ts";
import { Avatar, StatusBadge, VerifiedMarks } from "./marks.tsx";

/** Height of a row, in pixels, as the stylesheet has it. */
const ROW = 60;

/** Rows beyond the view, so that fast scrolling shows no gap. */
const BEYOND = 4;

/** How long ago an event may be for its row to flash. */
const FLASH = 1_500;

interface Props {
  feed: Feed;
  rows: readonly PublicUser[];
  /** Of the table: the rows may be the same list with other users in it. */
  version: number;
}

export function UserTable({ feed, rows }: Props) {
  const t = texts.value.table;
  const view = useRef<HTMLDivElement>(null);
  const { top, height } = useView(view);
  useAnchor(view, rows);
  const first = Math.max(0, Math.floor(top / ROW) - BEYOND);
  const last = Math.min(rows.length, Math.ceil((top + height) / ROW) + BEYOND);
  // Tab goes to one row: where the focus was, or the first one in view.
  const [left, leave] = useState<string>();
  const inPage = rows.slice(first, last);
  const entry = inPage.some(({ id }) => id === left) ? left : rows[Math.min(Math.ceil(top / ROW), rows.length - 1)]?.id;
  const columns = [t.columns.user, t.columns.phone, t.columns.country, t.columns.status, t.columns.verified, t.columns.registered];
  return (
    <div class="view" ref={view} onKeyDown={(event) => walk(event, view.current!, rows.length)}>
      <div role="table" aria-label={t.label} aria-rowcount={rows.length + 1} data-test="table">
        <div role="rowgroup" class="columnheads">
          <div role="row" aria-rowindex={1} class="row">
            {columns.map((name) => <div role="columnheader" key={name}>{name}</div>)}
          </div>
        </div>
        <div role="rowgroup" class="body" style={{ height: `${rows.length * ROW}px` }}>
          {inPage.map((user, n) => (
            <Row key={user.id} user={user} index={first + n} touch={feed.table.touched(user.id)} entry={user.id === entry}
              focused={() => leave(user.id)} />
          ))}
        </div>
      </div>
      {rows.length === 0 && <Nothing feed={feed} />}
    </div>
  );
}

/** What is seen of the whole height. */
function useView(view: { readonly current: HTMLDivElement | null }) {
  const [seen, see] = useState({ top: 0, height: 800 });
  useLayoutEffect(() => {
    const element = view.current!;
    let frame = 0;
    const look = () => {
      frame ||= requestAnimationFrame(() => {
        frame = 0;
        see({ top: element.scrollTop, height: element.clientHeight });
      });
    };
    const resized = new ResizeObserver(look);
    resized.observe(element);
    element.addEventListener("scroll", look, { passive: true });
    return () => {
      resized.disconnect();
      element.removeEventListener("scroll", look);
      cancelAnimationFrame(frame);
    };
  }, [view]);
  return seen;
}

/** Keeps the first row in view where it is while others come and go above it; at the top the newest are looked at. */
function useAnchor(view: { readonly current: HTMLDivElement | null }, rows: readonly PublicUser[]): void {
  const anchor = useRef<{ id: string; index: number }>(null);
  useLayoutEffect(() => {
    const element = view.current!;
    const was = anchor.current;
    if (was && element.scrollTop > 0 && rows[was.index]?.id !== was.id) {
      const index = rows.findIndex(({ id }) => id === was.id);
      if (index >= 0) element.scrollTop += (index - was.index) * ROW;
    }
    const index = Math.floor(element.scrollTop / ROW);
    const id = rows[index]?.id;
    anchor.current = id === undefined ? null : { id, index };
  });
}

interface RowProps {
  user: PublicUser;
  index: number;
  touch: Touch | undefined;
  /** Whether Tab goes to it. */
  entry: boolean;
  focused(): void;
}

function Row({ user, index, touch, entry, focused }: RowProps) {
  const open = () => {
    if (route.value.page === "users") go({ ...route.value, user: user.id });
  };
  return (
    <div role="row" class="row" aria-rowindex={index + 2} data-index={index} data-id={user.id}
      style={{ transform: `translateY(${index * ROW}px)` }} onClick={open}>
      <div role="cell" class="person">
        <Flash touch={touch} />
        <Avatar user={user} />
        <div>
          <button class="name" tabIndex={entry ? 0 : -1} onFocus={focused} aria-label={texts.value.table.open(user.fullName)}>
            <bdi>{user.fullName}</bdi>
          </button>
          <bdi class="muted small">{user.email}</bdi>
        </div>
      </div>
      <div role="cell" class="phone"><bdi dir="ltr">{user.phone}</bdi></div>
      <div role="cell" class="country"><bdi>{user.countryName}</bdi></div>
      <div role="cell" class="status"><StatusBadge user={user} /></div>
      <div role="cell" class="verified"><VerifiedMarks user={user} /></div>
      <div role="cell" class="registered small">{date.value.format(new Date(user.createdAt))}</div>
    </div>
  );
}

/** A colour over the row for a moment; a new element for every event, so that it begins anew. */
function Flash({ touch }: { touch: Touch | undefined }) {
  if (!touch || Date.now() - touch.at > FLASH) return null;
  return <span key={touch.serial} class={`flash ${touch.kind}`} data-test="flash" />;
}

function Nothing({ feed }: { feed: Feed }) {
  const t = texts.value.table;
  const { kind } = feed.loading.value;
  if (feed.table.rows.length > 0) return <p class="nothing">{t.nothing}</p>;
  return <p class="nothing">{{ loading: t.loading, loaded: t.empty, failed: "" }[kind]}</p>;
}

/** The arrow keys, Home and End go from row to row, also to those that are not in the page yet. */
function walk(event: KeyboardEvent, view: HTMLDivElement, count: number): void {
  const row = (event.target as HTMLElement).closest<HTMLElement>("[data-index]");
  if (!row || count === 0) return;
  const now = Number(row.dataset.index);
  const to = { ArrowDown: now + 1, ArrowUp: now - 1, Home: 0, End: count - 1 }[event.key];
  if (to === undefined) return;
  event.preventDefault();
  const index = Math.min(Math.max(to, 0), count - 1);
  const head = view.querySelector<HTMLElement>(".columnheads")!.offsetHeight;
  const [above, below] = [index * ROW, (index + 1) * ROW + head - view.clientHeight];
  if (view.scrollTop > above) view.scrollTop = above;
  else if (view.scrollTop < below) view.scrollTop = below;
  const focus = (frames: number) => {
    const button = view.querySelector<HTMLElement>(`[data-index="${index}"] .name`);
    if (button) button.focus({ preventScroll: true });
    else if (frames > 0) requestAnimationFrame(() => focus(frames - 1));
  };
  focus(5);
}
