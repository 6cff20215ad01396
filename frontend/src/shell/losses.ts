import { useEffect, useState } from 'react';
import type { StreamStatus } from '@sluice/client';

/** The losses that gaps have announced. */
export type Losses = Pick<StreamStatus, 'gaps' | 'missed'>;

const none: Losses = { gaps: 0, missed: 0 };

/** The counts decrease when the page stops following a topic. */
function combine(a: Losses, b: Losses, combineCounts: (a: number, b: number) => number): Losses {
  return { gaps: combineCounts(a.gaps, b.gaps), missed: combineCounts(a.missed, b.missed) };
}

const increase = (before: Losses, now: Losses) =>
  combine(before, now, (a, b) => Math.max(b - a, 0));

/** The losses since the reader last opened the details. */
export function useUnseen({ gaps, missed }: Losses, isLooking: boolean): Losses {
  const now = { gaps, missed };
  const [known, setKnown] = useState({ counts: none, unseen: none });
  if (gaps !== known.counts.gaps || (isLooking && known.unseen.gaps > 0)) {
    const sum = combine(known.unseen, increase(known.counts, now), (a, b) => a + b);
    setKnown({ counts: now, unseen: isLooking ? none : combine(sum, now, Math.min) });
  }
  return known.unseen;
}

/** How long it is news that the connection is back, in milliseconds. */
const NEWS = 5_000;

/** The losses of the last interruption, for a few seconds after it; `undefined` at other times. */
export function useReconnection({ status, gaps, missed }: StreamStatus): Losses | undefined {
  const [before, setBefore] = useState<Losses>();
  const isLive = status.phase === 'live';
  // A request that was refused interrupts nothing.
  const isBroken = 'cause' in status && status.cause && status.cause.kind !== 'refused';
  if (isBroken && !before) setBefore({ gaps, missed });

  useEffect(() => {
    if (!isLive || !before) return;
    const timer = setTimeout(() => setBefore(undefined), NEWS);
    return () => clearTimeout(timer);
  }, [isLive, before]);

  return isLive && before ? increase(before, { gaps, missed }) : undefined;
}
