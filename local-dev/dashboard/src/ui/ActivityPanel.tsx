// The last events with their delay from click to frame, and changes a minute.
import { useEffect } from "preact/hooks";
import { MINUTES, type Activity, type Entry } from "../activity.ts";
import { number, texts, time } from "../settings.ts";

/** How often the chart looks at the clock. */
const TICK = 5_000;

export function ActivityPanel({ activity }: { activity: Activity }) {
  const t = texts.value.activity;
  const entries = activity.entries.value;
  useEffect(() => {
    const timer = setInterval(() => activity.tick(), TICK);
    return () => clearInterval(timer);
  }, [activity]);
  return (
    <aside class="card activity" aria-label={t.title}>
      <h2>{t.title}</h2>
      <Chart minutes={activity.minutes.value} />
      {entries.length === 0 && <p class="muted">{t.none}</p>}
      {/* Reachable by keyboard, so that it can be scrolled. */}
      <ol tabIndex={0} aria-label={t.title} data-test="activity">
        {entries.map((entry) => <Item key={entry.serial} entry={entry} />)}
      </ol>
    </aside>
  );
}

function Item({ entry: { name, who, at, delay } }: { entry: Entry }) {
  const t = texts.value.activity;
  return (
    <li data-event={name}>
      <span class={`dot ${name.replace(".", "-")}`} />
      <bdi class="what">{who}</bdi>
      <span class="muted small when">
        {`${t.events[name]} · ${time.value.format(at)}`}
        {delay !== null && ` · ${t.delay(number.value.format(Math.round(delay)))}`}
      </span>
    </li>
  );
}

const [WIDTH, HEIGHT] = [240, 48];

function Chart({ minutes }: { minutes: readonly number[] }) {
  const t = texts.value.activity;
  const most = Math.max(...minutes, 1);
  const sum = minutes.reduce((sum, n) => sum + n, 0);
  const step = WIDTH / MINUTES;
  const label = t.chart(number.value.format(sum), number.value.format(MINUTES));
  return (
    <figure>
      <figcaption class="muted small">
        <span>{t.perMinute}</span>
        <strong>{number.value.format(minutes.at(-1) ?? 0)}</strong>
      </figcaption>
      <svg class="chart" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label={label}>
        {minutes.map((n, minute) => {
          const height = Math.max((n / most) * HEIGHT, n > 0 ? 3 : 1);
          return (
            <rect key={minute} x={minute * step + 1} width={step - 2} y={HEIGHT - height} height={height} rx={1.5}
              class={n > 0 ? "some" : ""} />
          );
        })}
      </svg>
    </figure>
  );
}
