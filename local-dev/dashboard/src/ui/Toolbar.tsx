// Search and filter. They are part of the URL, so that a reload keeps them.
import { go, route, type Status } from "../route.ts";
import { texts } from "../settings.ts";
import { Icon } from "./Icon.tsx";

const all: readonly Status[] = ["all", "active", "banned"];

export function Toolbar() {
  const t = texts.value.table;
  const current = route.value;
  if (current.page !== "users") return null;
  return (
    <div class="toolbar" role="search">
      <label class="search">
        <Icon name="search" />
        <span class="hidden">{t.search}</span>
        <input type="search" name="search" placeholder={t.search} value={current.query} dir="auto"
          onInput={(event) => go({ ...current, query: event.currentTarget.value }, true)} />
      </label>
      <div class="segments" role="group" aria-label={t.filter}>
        {all.map((status) => (
          <button key={status} aria-pressed={current.status === status} onClick={() => go({ ...current, status }, true)}>
            {t[status]}
          </button>
        ))}
      </div>
    </div>
  );
}
