import { useEffect, useState } from 'react';
import type { StreamStatus } from '@sluice/client';

/** What was lost, as far as gaps have told. */
export type Losses = Pick<StreamStatus, 'gaps' | 'missed'>;

const none: Losses = { gaps: 0, missed: 0 };

/** What was lost between two moments. The counts begin anew with each connection of another token. */
function lossesBetween(before: Losses, now: Losses): Losses {
  const { gaps, missed } = now.gaps < before.gaps ? none : before;
  return { gaps: now.gaps - gaps, missed: now.missed - missed };
}

/** What was lost since the reader last looked at the details. */
export function useUnseen({ gaps, missed }: Losses, isLooking: boolean): Losses {
  const [seen, setSeen] = useState(none);
  if (isLooking && gaps !== seen.gaps) setSeen({ gaps, missed });
  else if (gaps < seen.gaps) setSeen(none);
  return lossesBetween(seen, { gaps, missed });
}

/** How long it is news that the connection is back, in milliseconds. */
const NEWS = 5_000;

/** What the last interruption cost, for a few seconds after it; `undefined` at other times. */
export function useReconnection({ status, gaps, missed }: StreamStatus): Losses | undefined {
  const [before, setBefore] = useState<Losses>();
  const isLive = status.phase === 'live';
  const isBroken = 'cause' in status && status.cause !== undefined;
  if (isBroken && !before) setBefore({ gaps, missed });

  useEffect(() => {
    if (!isLive || !before) return;
    const timer = setTimeout(() => setBefore(undefined), NEWS);
    return () => clearTimeout(timer);
  }, [isLive, before]);

  return isLive && before ? lossesBetween(before, { gaps, missed }) : undefined;
}
