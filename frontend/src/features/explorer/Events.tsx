import { useState } from 'react';
import { Choice } from '../../components/Choice';
import { Panel } from '../../components/Panel';
import { count } from '../../components/text';
import { TopicGate } from '../../components/TopicGate';
import { useHold } from '../../components/use-hold';
import { useStream } from '../../stream/react/use-stream';
import { EventRow } from './EventRow';
import type { Exploration } from './topics';

const formats = [
  { value: 'pretty', text: 'Pretty' },
  { value: 'raw', text: 'Raw' },
] as const;

/** What comes on the topics, newest on top. */
export function Events({
  exploration: { topics, last, every, events },
}: {
  exploration: Exploration;
}) {
  const stream = useStream(topics, { last, every: every || undefined, events });
  const { entries, received, missed } = stream;
  const { shown, waiting, heldBy, hold, release } = useHold(entries);
  const [format, setFormat] = useState<'pretty' | 'raw'>('pretty');
  return (
    <TopicGate stream={stream} isEmpty={entries.length === 0}>
      <Panel className="overflow-hidden">
        <div className="flex flex-wrap items-center justify-between gap-2 border-b border-line bg-raised px-4 py-2">
          <p className="text-sm text-muted tabular-nums">
            <strong className="font-semibold text-ink">{count(received)}</strong> received
            {missed > 0 && <span className="text-warning">, {count(missed)} missed</span>}
          </p>
          <div className="flex flex-wrap gap-2">
            <Choice label="Format" options={formats} value={format} onChange={setFormat} />
            <button
              type="button"
              className="button"
              onClick={() => (heldBy ? release() : hold('pause'))}
            >
              {heldBy ? `Resume${waiting > 0 ? ` (${count(waiting)} new)` : ''}` : 'Pause'}
            </button>
          </div>
        </div>
        <ol aria-label="Events">
          {shown.toReversed().map((entry) => (
            <EventRow key={entry.seq} entry={entry} isPretty={format === 'pretty'} />
          ))}
        </ol>
      </Panel>
    </TopicGate>
  );
}
