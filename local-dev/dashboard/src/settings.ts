// What whoever looks at the pages has chosen: language, appearance, entrance. Kept for the next time.
import { computed, effect, signal } from "@preact/signals";
import { entrances } from "./config.ts";
import { ar } from "./texts/ar.ts";
import { en, type Texts } from "./texts/en.ts";

const languages = { en, ar } as const;
export type Language = keyof typeof languages;
export const allLanguages = Object.entries(languages) as [Language, Texts][];

const themes = ["system", "light", "dark"] as const;
export type Theme = (typeof themes)[number];

const preferred: Language = navigator.languages.some((language) => language.startsWith("ar")) ? "ar" : "en";

export const language = kept("language", Object.keys(languages) as Language[], preferred);
export const theme = kept("theme", themes, "system");
export const allThemes = themes;
const entranceId = kept("entrance", entrances.map(({ id }) => id), entrances[0].id);
export const entrance = computed(() => entrances.find(({ id }) => id === entranceId.value) ?? entrances[0]);

/** The texts in the language that was chosen. */
export const texts = computed<Texts>(() => languages[language.value]);

export function chooseEntrance(id: string): void {
  entranceId.value = id;
}

/** A number as people of the language write it. */
export const number = computed(() => new Intl.NumberFormat(language.value));
/** A day with the time, or one of both alone. */
export const date = computed(() => new Intl.DateTimeFormat(language.value, { dateStyle: "medium" }));
export const dateTime = computed(() => new Intl.DateTimeFormat(language.value, { dateStyle: "medium", timeStyle: "short" }));
export const time = computed(() => new Intl.DateTimeFormat(language.value, { timeStyle: "medium" }));

effect(() => {
  const { documentElement } = document;
  documentElement.lang = language.value;
  documentElement.dir = texts.value.dir;
  if (theme.value === "system") delete documentElement.dataset.theme;
  else documentElement.dataset.theme = theme.value;
});

function kept<T extends string>(name: string, allowed: readonly T[], otherwise: T) {
  const key = `moien.${name}`;
  const found = localStorage.getItem(key) as T;
  const value = signal<T>(allowed.includes(found) ? found : otherwise);
  effect(() => localStorage.setItem(key, value.value));
  return value;
}
