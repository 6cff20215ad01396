import { useState } from 'react';
import type { Entry } from '@sluice/client';

/** The reason for a hold. */
type Holder = 'scrolling' | 'pause';

interface Held {
  readonly entries: readonly Entry[];
  readonly by: Holder;
}

/** A list that can be held while the stream continues. */
export interface Hold {
  /** The entries to show: the newest, or those from when the hold began. */
  readonly shown: readonly Entry[];
  readonly heldBy: Holder | undefined;
  /** How many entries have arrived since the hold began. */
  readonly waiting: number;
  readonly hold: (by: Holder) => void;
  readonly release: () => void;
}

/**
 * Holds a list while the reader reads it. New rows at the top move all others down, and a bounded list drops
 * the oldest, so the list must not change at all during a hold.
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
