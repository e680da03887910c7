// Whether events come in, by which entrance and transport, or why not.
import type { Connection } from "../connection.ts";
import { texts } from "../settings.ts";

export function ConnectionState({ connection }: { connection: Connection }) {
  const t = texts.value;
  const state = connection.state.value;
  const recovered = state.kind === "connected" && state.recovered;
  const text = {
    connecting: () => t.connection.connecting,
    connected: () => (state.kind === "connected" ? t.connection.connected(state.entrance, state.transport) : ""),
    offline: () => t.connection.offline,
    refused: () => t.connection.refused(state.kind === "refused" ? (t.errors.codes[state.reason] ?? state.reason) : ""),
  }[state.kind]();
  return (
    <div class="connection">
      <span class={`state ${state.kind}`} role="status" data-test="connection" data-state={state.kind} data-recovered={recovered}>
        {recovered ? `${text} · ${t.connection.recovered}` : text}
      </span>
      {(state.kind === "offline" || state.kind === "refused") && (
        <button class="quiet" onClick={() => connection.retry()}>{t.connection.retry}</button>
      )}
    </div>
  );
}
