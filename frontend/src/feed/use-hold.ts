import { useState } from 'react';
import type { Entry } from '@sluice/client';

/** Who asked the list to stand still. */
type Holder = 'scrolling' | 'pause';

interface Held {
  readonly entries: readonly Entry[];
  readonly by: Holder;
}

/** A list that can stand still while the stream goes on behind it. */
export interface Hold {
  /** The entries to show: the newest, or those from when the hold began. */
  readonly shown: readonly Entry[];
  readonly heldBy: Holder | undefined;
  /** How many entries have come since the hold began. */
  readonly waiting: number;
  readonly hold: (by: Holder) => void;
  readonly release: () => void;
}

/**
 * Lets a reader read. Rows that arrive at the top push all others down, and a bounded list takes away
 * the oldest in the end, so a list that somebody reads must not change at all until they are done.
 */
export function useHold(entries: readonly Entry[]): Hold {
  const [held, setHeld] = useState<Held>();
  return {
    shown: held?.entries ?? entries,
    heldBy: held?.by,
    waiting: held ? newest(entries) - newest(held.entries) : 0,
    hold: (by) => {
      setHeld((current) => current ?? { entries, by });
    },
    release: () => setHeld(undefined),
  };
}

function newest(entries: readonly Entry[]): number {
  return entries.at(-1)?.seq ?? 0;
}
