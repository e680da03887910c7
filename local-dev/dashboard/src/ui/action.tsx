// An action with its error shown where it happened.
import { useState } from "preact/hooks";
import { Refused, Unreachable } from "../answers.ts";
import { number, texts } from "../settings.ts";

export interface Action {
  pending: boolean;
  error: unknown;
  done: boolean;
  /** Does it, unless it is being done. */
  run(): Promise<boolean>;
}

export function useAction(work: () => Promise<unknown>): Action {
  const [{ pending, error, done }, set] = useState({ pending: false, error: null as unknown, done: false });
  return {
    pending,
    error,
    done,
    async run() {
      if (pending) return false;
      set({ pending: true, error: null, done: false });
      try {
        await work();
        set({ pending: false, error: null, done: true });
        return true;
      } catch (error) {
        set({ pending: false, error, done: false });
        return false;
      }
    },
  };
}

/** An error in words, for people. */
export function explained(error: unknown): string {
  const t = texts.value.errors;
  if (error instanceof Unreachable) return t.unreachable;
  if (!(error instanceof Refused)) return t.unknown;
  const code = t.codes[error.code] ?? error.code;
  return error.retryAfter === null ? code : `${code} ${t.retry(number.value.format(error.retryAfter))}`;
}

export function Problem({ error }: { error: unknown }) {
  if (error == null) return null;
  // What is wrong with a field the service says in English.
  const details = error instanceof Refused ? error.details : [];
  return (
    <div class="problem" role="alert">
      <p>{explained(error)}</p>
      {details.map(({ field, message }) => <p key={field} lang="en" dir="ltr">{`${field}: ${message}`}</p>)}
    </div>
  );
}

/** That an action has succeeded, said once. */
export function Done({ action, text = texts.value.user.saved }: { action: Action; text?: string }) {
  return <p class="done" role="status">{action.done ? text : ""}</p>;
}
