// Small marks of a user: initials, status, what is verified.
import type { PublicUser } from "../../contract/events.ts";
import { texts } from "../settings.ts";
import { Icon } from "./Icon.tsx";

const COLOURS = 6;

/** Initials, and not the photo: the page loads nothing from another host. */
export function Avatar({ user }: { user: PublicUser }) {
  const words = user.fullName.trim().split(/\s+/);
  const initials = [words[0], words.at(-1)].map((word) => [...(word ?? "")][0] ?? "").join("\u200c");
  const colour = Number.parseInt(user.id.slice(0, 4), 16) % COLOURS;
  return <span class={`avatar colour-${colour}`} aria-hidden="true">{initials.toLocaleUpperCase()}</span>;
}

export function StatusBadge({ user }: { user: PublicUser }) {
  const t = texts.value.table;
  return <span class={`badge ${user.isBanned ? "banned" : "active"}`}>{user.isBanned ? t.banned : t.active}</span>;
}

export function VerifiedMarks({ user }: { user: PublicUser }) {
  const t = texts.value.table;
  const marks = [
    user.emailVerified && (["mail", t.emailVerified] as const),
    user.phoneVerified && (["phone", t.phoneVerified] as const),
  ].filter((mark) => mark !== false);
  if (marks.length === 0) return <span class="muted" title={t.notVerified} aria-label={t.notVerified} role="img">–</span>;
  return (
    <>
      {marks.map(([name, text]) => (
        <span key={name} class="mark" title={text} role="img" aria-label={text}><Icon name={name} /></span>
      ))}
    </>
  );
}
