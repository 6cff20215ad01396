import { type RefObject, type UIEvent, useRef } from 'react';
import type { Entry } from '@sluice/client';
import { type Hold, useHold } from './use-hold';

/** A few pixels from the top still count as the top: fingers and zoomed pages are not exact. */
const TOP = 8;

/** A list in an element that scrolls, newest on top; see {@link useFeed}. */
export interface Feed extends Pick<Hold, 'shown' | 'heldBy' | 'waiting'> {
  readonly scroller: RefObject<HTMLDivElement | null>;
  readonly onScroll: (event: UIEvent<HTMLElement>) => void;
  /** Scrolls to the top and releases the hold. */
  readonly showNewest: () => void;
  readonly togglePause: () => void;
}

/** Freezes a list while the reader has scrolled down or paused it. */
export function useFeed(entries: readonly Entry[]): Feed {
  const { shown, heldBy, waiting, hold, release } = useHold(entries);
  const scroller = useRef<HTMLDivElement>(null);

  function onScroll({ currentTarget }: UIEvent<HTMLElement>) {
    if (currentTarget.scrollTop > TOP) hold('scrolling');
    else if (heldBy === 'scrolling') release();
  }

  function showNewest() {
    release();
    scroller.current?.scrollTo({ top: 0 });
  }

  function togglePause() {
    if (heldBy) showNewest();
    else hold('pause');
  }

  return { shown, heldBy, waiting, scroller, onScroll, showNewest, togglePause };
}
