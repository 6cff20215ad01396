import { type RefObject, type UIEvent, useMemo } from 'react';
import type { Entry } from '@sluice/client';
import { GapRow } from './GapRow';
import { MessageRow } from './MessageRow';

interface Props {
  /** Oldest first. */
  entries: readonly Entry[];
  showTopics: boolean;
  labelledBy: string;
  scroller: RefObject<HTMLDivElement | null>;
  onScroll: (event: UIEvent<HTMLElement>) => void;
}

/** A shorter time between two arrivals, in milliseconds, is a flood, in which rows are not animated. */
const FLOOD = 100;

/**
 * The entries, newest first.
 *
 * A log is a live region by default; read aloud event by event it would never end. The summary that is
 * read instead is in `Announcements`.
 */
export function EventList({ entries, showTopics, labelledBy, scroller, onScroll }: Props) {
  const newestFirst = useMemo(() => entries.toReversed(), [entries]);
  return (
    <div
      ref={scroller}
      role="log"
      aria-live="off"
      aria-labelledby={labelledBy}
      tabIndex={0}
      onScroll={onScroll}
      className="min-h-0 flex-1 overflow-y-auto overscroll-contain -outline-offset-2 [overflow-anchor:none]"
    >
      <ol className="group" data-flood={isFlood(entries)}>
        {newestFirst.map((entry) => (
          <li key={entry.seq} className="motion-safe:group-data-[flood=false]:first:animate-arrive">
            {entry.kind === 'gap' ? (
              <GapRow gap={entry} showTopic={showTopics} />
            ) : (
              <MessageRow message={entry} showTopic={showTopics} />
            )}
          </li>
        ))}
      </ol>
    </div>
  );
}

function isFlood(entries: readonly Entry[]): boolean {
  const [before, newest] = entries.slice(-2);
  return !!before && !!newest && newest.receivedAt - before.receivedAt < FLOOD;
}
