import type { Status } from '../stream/status';
import { useNow } from './use-now';

const looks = {
  connecting: 'border-line text-muted [--dot:var(--muted)]',
  live: 'border-live/40 text-live [--dot:var(--live)]',
  waiting: 'border-warning-line bg-warning-soft text-warning [--dot:var(--warning-line)]',
  closed: 'border-line text-muted [--dot:var(--muted)]',
};

/** How the connection is, at a glance. */
export function StatusPill({ status }: { status: Status }) {
  const { phase } = status;
  const moving = phase === 'live' || phase === 'connecting';
  return (
    <span
      className={`inline-flex items-center gap-2 rounded-full border px-2.5 py-0.5 text-xs sm:px-3 sm:py-1 sm:text-sm font-medium whitespace-nowrap tabular-nums ${looks[phase]}`}
    >
      <span
        className={`size-2 rounded-full bg-(--dot) ${moving ? 'motion-safe:animate-breathe' : ''}`}
      />
      {phase === 'waiting' ? <Countdown until={status.retryAt} /> : labels[phase]}
    </span>
  );
}

const labels = { connecting: 'Connecting…', live: 'Live', closed: 'Closed' };

function Countdown({ until }: { until: number }) {
  const seconds = Math.ceil((until - useNow()) / 1_000);
  return <>{seconds > 0 ? `Retrying in ${seconds} s` : 'Retrying…'}</>;
}
