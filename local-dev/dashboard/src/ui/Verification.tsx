// Verifying a user's address or number: a code is sent, and what was sent is typed in.
import { useRef } from "preact/hooks";
import { unwrap } from "../answers.ts";
import { texts } from "../settings.ts";
import { Done, Problem, useAction } from "./action.tsx";
import { of, type Part } from "./UserDialog.tsx";

const routes = {
  email: { send: "/api/v1/users/{id}/email/verify/send", confirm: "/api/v1/users/{id}/email/verify/confirm" },
  phone: { send: "/api/v1/users/{id}/phone/verify/send", confirm: "/api/v1/users/{id}/phone/verify/confirm" },
} as const;

type Channel = keyof typeof routes;

export function Verification({ feed, user }: Part) {
  const t = texts.value.user.verify;
  return (
    <section class="part" aria-label={t.title}>
      <h3>{t.title}</h3>
      <One channel="email" verified={user.emailVerified} feed={feed} user={user} />
      <One channel="phone" verified={user.phoneVerified} feed={feed} user={user} />
    </section>
  );
}

function One({ channel, verified, feed, user }: Part & { channel: Channel; verified: boolean }) {
  const t = texts.value.user.verify;
  const code = useRef<HTMLInputElement>(null);
  const send = useAction(() => unwrap(feed.rest.client.POST(routes[channel].send, of(user))));
  const confirm = useAction(() => {
    const body = { code: code.current!.value };
    return feed.change(user.id, () => feed.rest.client.POST(routes[channel].confirm, { ...of(user), body }));
  });
  return (
    <form class="verify" aria-label={t[channel]} data-test={`verify-${channel}`} onSubmit={(event) => {
      event.preventDefault();
      void confirm.run();
    }}>
      <div class="line">
        <span>{t[channel]}</span>
        <span class={`badge ${verified ? "active" : ""}`}>{verified ? t.verified : t.unverified}</span>
        {!verified && <button type="button" disabled={send.pending} onClick={() => void send.run()}>{t.send}</button>}
      </div>
      <Problem error={send.error} />
      {!verified && send.done && (
        <div class="line">
          <label class="inline">
            {t.code}
            <input ref={code} name="code" required dir="ltr" autocomplete="one-time-code" size={8} />
          </label>
          <button disabled={confirm.pending}>{t.confirm}</button>
        </div>
      )}
      {!verified && <Done action={send} text={t.sent} />}
      <Problem error={confirm.error} />
    </form>
  );
}
