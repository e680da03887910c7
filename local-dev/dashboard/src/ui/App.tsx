// The frame around both pages: where one is, language and appearance.
import { useEffect } from "preact/hooks";
import { route, written, type Route } from "../route.ts";
import { Session } from "../session.ts";
import { allLanguages, allThemes, language, texts, theme, type Language, type Theme } from "../settings.ts";
import { AccountPage } from "./AccountPage.tsx";
import { AdminPage } from "./AdminPage.tsx";
import { Icon } from "./Icon.tsx";

const admin = new Session("admin");
const user = new Session("user");

const pages: Record<Route["page"], Route> = {
  users: { page: "users", user: null, query: "", status: "all" },
  account: { page: "account" },
};

export function App() {
  const { pages: names, product } = texts.value;
  const { page } = route.value;
  useEffect(() => {
    document.title = `${names[page]} · ${product}`;
  }, [names, page, product]);
  return (
    <div class="app">
      <header class="bar">
        <span class="brand">
          <Icon name="pulse" />
          <span>{product}</span>
        </span>
        <nav aria-label={names.label}>
          {(Object.keys(pages) as Route["page"][]).map((name) => (
            <a key={name} href={written(pages[name])} aria-current={page === name ? "page" : undefined}>{names[name]}</a>
          ))}
        </nav>
        <Settings />
      </header>
      <main>{page === "users" ? <AdminPage session={admin} /> : <AccountPage session={user} />}</main>
    </div>
  );
}

function Settings() {
  const t = texts.value;
  return (
    <div class="settings">
      <label>
        <span class="hidden">{t.language}</span>
        <select class="quiet" data-test="language" value={language.value}
          onChange={(event) => (language.value = event.currentTarget.value as Language)}>
          {allLanguages.map(([id, { name }]) => <option key={id} value={id} lang={id}>{name}</option>)}
        </select>
      </label>
      <label>
        <span class="hidden">{t.theme.label}</span>
        <select class="quiet" data-test="theme" value={theme.value}
          onChange={(event) => (theme.value = event.currentTarget.value as Theme)}>
          {allThemes.map((id) => <option key={id} value={id}>{t.theme[id]}</option>)}
        </select>
      </label>
    </div>
  );
}
