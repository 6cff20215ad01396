import { lazy, Suspense, useRef, useState } from 'react';
import type { StreamStatus } from '../stream/line/status';
import { useStreamStatus } from '../stream/react/use-stream-status';
import { count, gaps } from '../components/text';
import { useNow } from '../components/use-now';
import { Boundary } from './Boundary';

/** Loads the code of the details. */
export const loadDetails = () => import('./ConnectionDetails');

const ConnectionDetails = lazy(loadDetails);

const looks = {
  good: 'border-live/40 text-live [--dot:var(--live)]',
  busy: 'border-line text-muted [--dot:var(--muted)]',
  bad: 'border-warning-line bg-warning-soft text-warning [--dot:var(--warning-line)]',
};

/** How the page's connection is, at a glance; more about it on request. */
export function ConnectionPill() {
  const status = useStreamStatus();
  const look = lookOf(status);
  const button = useRef<HTMLButtonElement>(null);
  const [isOpen, setOpen] = useState(false);
  const close = () => setOpen(false);
  return (
    <>
      <button
        type="button"
        ref={button}
        aria-haspopup="dialog"
        aria-expanded={isOpen}
        onClick={() => setOpen(!isOpen)}
        className={`inline-flex min-h-8 cursor-pointer items-center gap-2 rounded-full border px-3 text-xs font-medium whitespace-nowrap tabular-nums sm:text-sm ${looks[look]}`}
      >
        <span className="sr-only">Connection:</span>
        <span
          className={`size-2 rounded-full bg-(--dot) ${look === 'busy' ? 'motion-safe:animate-breathe' : ''}`}
        />
        <Summary {...status} />
      </button>
      {isOpen && (
        <Boundary what="dialog" onClose={close}>
          <Suspense>
            <ConnectionDetails anchor={button} onClose={close} />
          </Suspense>
        </Boundary>
      )}
    </>
  );
}

function lookOf({ status, gaps }: StreamStatus): keyof typeof looks {
  if (status.phase === 'waiting') return 'bad';
  if (status.phase !== 'live') return 'busy';
  return gaps > 0 ? 'bad' : 'good';
}

function Summary({ status, missed, gaps: announced }: StreamStatus) {
  switch (status.phase) {
    case 'connecting':
      return 'Connecting…';
    case 'closed':
      return 'Closed';
    case 'waiting':
      return <Countdown until={status.retryAt} />;
    case 'live':
      if (missed > 0) return `Live · ${count(missed)} missed`;
      return announced > 0 ? `Live · ${gaps(announced)}` : 'Live';
  }
}

function Countdown({ until }: { until: number }) {
  const seconds = Math.ceil((until - useNow()) / 1_000);
  return <>{seconds > 0 ? `Retrying in ${seconds} s` : 'Retrying…'}</>;
}
