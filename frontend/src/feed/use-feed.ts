import { type UIEvent, useRef, useState } from 'react';
import type { Entry } from '@sluice/client';
import { stopScroll } from '../lib/scroll';

/** A few pixels from the top still count as the top: fingers and zoomed pages are not exact. */
const TOP = 8;

interface Held {
  readonly entries: readonly Entry[];
  readonly by: 'scrolling' | 'pause';
}

export type Feed = ReturnType<typeof useFeed>;

/**
 * Holds a list while the reader has scrolled down or paused it. New rows at the top move all others down, and a
 * bounded list drops the oldest, so the list must not change at all during a hold.
 */
export function useFeed(entries: readonly Entry[]) {
  const [held, setHeld] = useState<Held>();
  const scroller = useRef<HTMLDivElement>(null);
  const heldBy = held?.by;

  const hold = (by: Held['by']) => setHeld((current) => current ?? { entries, by });

  function onScroll({ currentTarget }: UIEvent<HTMLElement>) {
    if (currentTarget.scrollTop > TOP) hold('scrolling');
    else if (heldBy === 'scrolling') setHeld(undefined);
  }

  /** Scrolls to the top and releases the hold. */
  function showNewest() {
    setHeld(undefined);
    stopScroll(scroller.current);
    scroller.current?.scrollTo({ top: 0 });
  }

  return {
    ...{ shown: held?.entries ?? entries, heldBy, scroller, onScroll, showNewest },
    /** How many entries have arrived since the hold began. */
    waiting: held ? newest(entries) - newest(held.entries) : 0,
    togglePause: () => (heldBy ? showNewest() : hold('pause')),
  };
}

function newest(entries: readonly Entry[]): number {
  return entries.at(-1)?.seq ?? 0;
}
