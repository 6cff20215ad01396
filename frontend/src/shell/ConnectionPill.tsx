import { lazy, type ReactNode, Suspense, useRef, useState } from 'react';
import type { Status, StreamStatus } from '@sluice/client';
import { useStreamStatus } from '@sluice/client/react';
import { count, plural } from '../lib/text';
import { useNow } from '../lib/use-now';
import { Boundary } from '../ui/Boundary';
import { type Losses, useReconnection, useUnseen } from './losses';

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
  const button = useRef<HTMLButtonElement>(null);
  const [isOpen, setOpen] = useState(false);
  const unseen = useUnseen(status, isOpen);
  const look = lookOf(status, unseen);
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
        {/* One element, or the button's gap would come between its words. */}
        <span>
          <Summary {...status} unseen={unseen} />
        </span>
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

function lookOf({ status }: StreamStatus, unseen: Losses): keyof typeof looks {
  if (status.phase === 'waiting') return 'bad';
  if (status.phase !== 'live') return 'busy';
  return unseen.gaps > 0 ? 'bad' : 'good';
}

function Summary({ unseen, ...stream }: StreamStatus & { unseen: Losses }) {
  const { status, latency, resumed } = stream;
  const reconnection = useReconnection(stream);
  switch (status.phase) {
    case 'connecting':
      return status.cause?.kind === 'stale' ? 'Stale' : 'Connecting…';
    case 'closed':
      return 'Closed';
    case 'waiting':
      return <Waiting {...status} />;
    case 'live':
      if (reconnection && (resumed || reconnection.gaps > 0)) {
        return <Reconnected losses={reconnection} />;
      }
      if (unseen.gaps > 0) return `Live · ${lossText(unseen)}`;
      return <Live latency={latency} />;
  }
}

/** A phone has no room for it in sight. */
function Spacious({ children }: { children: ReactNode }) {
  return <span className="max-md:sr-only">{children}</span>;
}

function Waiting({ retryAt, cause }: Extract<Status, { phase: 'waiting' }>) {
  const seconds = Math.ceil((retryAt - useNow()) / 1_000);
  const text = seconds > 0 ? `Retrying in ${seconds} s` : 'Retrying…';
  if (cause.kind !== 'stale') return text;
  return (
    <>
      Stale<Spacious> · {text.toLowerCase()}</Spacious>
    </>
  );
}

function Reconnected({ losses }: { losses: Losses }) {
  if (losses.gaps > 0) {
    return (
      <>
        <Spacious>Resumed, </Spacious>
        {lossText(losses)}
      </>
    );
  }
  return (
    <>
      Resumed<Spacious>, nothing missed</Spacious>
    </>
  );
}

function lossText({ gaps, missed }: Losses): string {
  return missed > 0 ? `${count(missed)} missed` : plural(gaps, 'gap');
}

/** A latency below zero is a difference of the two clocks. */
function Live({ latency }: { latency: number | undefined }) {
  const isKnown = latency !== undefined && latency >= 0;
  return <>Live{isKnown && <Spacious> · {count(Math.round(latency))} ms</Spacious>}</>;
}
