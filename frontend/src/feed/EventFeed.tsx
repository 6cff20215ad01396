import { type RefObject, useLayoutEffect, useState } from 'react';
import type { Entries } from '@sluice/client';
import { Button } from '../ui/Button';
import { Counts } from './Counts';
import { EventList } from './EventList';
import { NewEvents } from './NewEvents';
import { useFeed } from './use-feed';

interface Props {
  snapshot: Entries<unknown>;
  showTopics: boolean;
  labelledBy: string;
}

/** Pixels; no row is smaller. */
const MIN_ROW = 24;
/** The minimum number of rendered rows. More are rendered when the reader scrolls. */
const MIN_ROWS = 60;
const SPARE_ROWS = 10;

/** The list of entries. It does not change while the reader has scrolled down or paused it. */
export function EventFeed({ snapshot, showTopics, labelledBy }: Props) {
  const { shown, heldBy, waiting, scroller, onScroll, showNewest, togglePause } = useFeed(
    snapshot.entries,
  );
  const inSight = Math.ceil(useHeight(scroller) / MIN_ROW);
  const drawn = Math.max(MIN_ROWS, inSight + SPARE_ROWS);

  return (
    <>
      <div className="flex items-center justify-between gap-4 border-b border-line bg-raised px-4 py-1.5 sm:px-5">
        <Counts snapshot={snapshot} />
        <Button onClick={togglePause}>{heldBy ? 'Resume' : 'Pause'}</Button>
      </div>
      <div className="relative flex min-h-0 flex-1 flex-col">
        <NewEvents count={waiting} onShow={showNewest} />
        <EventList
          entries={heldBy ? shown : shown.slice(-drawn)}
          showTopics={showTopics}
          labelledBy={labelledBy}
          scroller={scroller}
          onScroll={onScroll}
        />
      </div>
    </>
  );
}

/** The height of an element's inside, in pixels. */
function useHeight(element: RefObject<HTMLElement | null>): number {
  const [height, setHeight] = useState(0);

  useLayoutEffect(() => {
    const target = element.current;
    if (!target) return;
    const resizing = new ResizeObserver(() => setHeight(target.clientHeight));
    resizing.observe(target);
    return () => resizing.disconnect();
  }, [element]);

  return height;
}
