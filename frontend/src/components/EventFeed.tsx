import { type UIEvent, useRef } from 'react';
import type { Entries } from '../stream/views/entries';
import { Counts } from './Counts';
import { EventList } from './EventList';
import { NewEvents } from './NewEvents';
import { useHold } from './use-hold';

interface Props {
  snapshot: Entries<unknown>;
  showTopics: boolean;
  labelledBy: string;
}

/** At the top nobody sees further down than this, on the tallest screen; the rest is there for who scrolls. */
const IN_SIGHT = 60;

/** A few pixels from the top still count as the top: fingers and zoomed pages are not exact. */
const TOP = 8;

/** The list of what has come, which stands still while somebody reads further down or asks for it. */
export function EventFeed({ snapshot, showTopics, labelledBy }: Props) {
  const { shown, heldBy, waiting, hold, release } = useHold(snapshot.entries);
  const scroller = useRef<HTMLDivElement>(null);

  function followScrolling({ currentTarget }: UIEvent<HTMLElement>) {
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

  return (
    <>
      <div className="flex items-center justify-between gap-4 border-b border-line bg-raised px-4 py-1.5 sm:px-5">
        <Counts snapshot={snapshot} />
        <button type="button" className="button" onClick={togglePause}>
          {heldBy ? 'Resume' : 'Pause'}
        </button>
      </div>
      <div className="relative flex min-h-0 flex-1 flex-col">
        <NewEvents count={waiting} onShow={showNewest} />
        <EventList
          entries={heldBy ? shown : shown.slice(-IN_SIGHT)}
          showTopics={showTopics}
          labelledBy={labelledBy}
          scroller={scroller}
          onScroll={followScrolling}
        />
      </div>
    </>
  );
}
