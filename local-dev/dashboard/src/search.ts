// Which rows of the table are looked for.
import type { PublicUser } from "../contract/events.ts";
import type { Status } from "./route.ts";

/** What is searched of a user, made once for each version of the row. */
const texts = new WeakMap<PublicUser, string>();

export function matching(rows: readonly PublicUser[], query: string, status: Status): readonly PublicUser[] {
  const words = folded(query).split(/\s+/).filter(Boolean);
  if (words.length === 0 && status === "all") return rows;
  return rows.filter(
    (user) =>
      (status === "all" || user.isBanned === (status === "banned")) &&
      words.every((word) => textOf(user).includes(word)),
  );
}

function textOf(user: PublicUser): string {
  let text = texts.get(user);
  if (text === undefined) {
    const { id, fullName, email, phone, countryName, countryCode } = user;
    texts.set(user, (text = folded([fullName, email, phone, countryName, countryCode, id].join("\n"))));
  }
  return text;
}

/** Without regard to case and to marks above and below letters, as people type in a hurry. */
function folded(text: string): string {
  return text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
}
