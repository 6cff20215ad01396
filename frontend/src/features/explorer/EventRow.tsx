import { memo } from 'react';
import { ArrivalTime } from '../../ui/ArrivalTime';
import { GapRow } from '../../feed/GapRow';
import { LongText } from '../../feed/LongText';
import { PrettyData } from '../../feed/PrettyData';
import type { Entry } from '@sluice/client';
import { entryID } from '../../lib/entry-id';

interface Props {
  entry: Entry;
  isPretty: boolean;
}

/** The list has many rows; the raw format can show more of one. */
const MAX_CHARACTERS = 4_000;

/** An event with all that the gateway says about it. It never changes. */
export const EventRow = memo(function EventRow({ entry, isPretty }: Props) {
  if (entry.kind === 'gap') return <GapRow gap={entry} showTopic />;
  return (
    <div className="space-y-1.5 border-b border-line px-4 py-2.5">
      <p className="flex flex-wrap items-baseline gap-x-3 gap-y-0.5 font-mono text-xs wrap-anywhere">
        <ArrivalTime at={entry.receivedAt} />
        <span className="text-accent">{entry.topic}</span>
        {entry.type !== 'message' && <span className="font-semibold">{entry.type}</span>}
        <span className="min-w-0 truncate text-muted" title={entry.id}>
          {isPretty ? entryID(entry.topic, entry.id) : entry.id}
        </span>
      </p>
      {isPretty ? (
        <PrettyData data={entry.data} max={MAX_CHARACTERS} />
      ) : (
        <LongText text={entry.data} />
      )}
    </div>
  );
});
