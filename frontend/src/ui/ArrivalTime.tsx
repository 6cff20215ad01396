import { preciseClock } from '../lib/clock';

/** When something arrived, by the reader's own clock. */
export function ArrivalTime({ at }: { at: number }) {
  return (
    <time
      dateTime={new Date(at).toISOString()}
      className="shrink-0 font-mono text-xs text-muted tabular-nums"
    >
      {preciseClock(at)}
    </time>
  );
}
