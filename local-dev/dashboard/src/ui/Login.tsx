// Signing in, for both pages.
import { useRef } from "preact/hooks";
import type { Session } from "../session.ts";
import { texts } from "../settings.ts";
import { Problem, useAction } from "./action.tsx";

export function Login({ session, title, about }: { session: Session; title: string; about: string }) {
  const t = texts.value.login;
  const email = useRef<HTMLInputElement>(null);
  const password = useRef<HTMLInputElement>(null);
  const action = useAction(() => session.login(email.current!.value, password.current!.value));
  return (
    <form class="card login" onSubmit={(event) => {
      event.preventDefault();
      void action.run();
    }}>
      <h1>{title}</h1>
      <p class="muted">{about}</p>
      {session.ended.value && <p class="notice" role="status">{t.ended}</p>}
      <label>
        {t.email}
        <input ref={email} name="email" type="text" inputMode="email" autocomplete="username" required dir="ltr" />
      </label>
      <label>
        {t.password}
        <input ref={password} name="password" type="password" autocomplete="current-password" required dir="ltr" />
      </label>
      <Problem error={action.error} />
      <button class="primary" disabled={action.pending}>{t.submit}</button>
    </form>
  );
}
