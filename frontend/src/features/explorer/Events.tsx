import { Button } from '../../ui/Button';
import { Choice } from '../../ui/Choice';
import { Announcements } from '../../feed/Announcements';
import { Counts } from '../../feed/Counts';
import { NewEvents } from '../../feed/NewEvents';
import { Panel } from '../../ui/Panel';
import { TopicGate } from '../../ui/TopicGate';
import { useFeed } from '../../feed/use-feed';
import { EntryList } from './EntryList';
import { EventRow } from './EventRow';
import type { Exploration } from './topics';
import { useExploration } from './use-exploration';

const formats = [
  { value: 'pretty', text: 'Pretty' },
  { value: 'raw', text: 'Raw' },
] as const;

export type Format = (typeof formats)[number]['value'];

interface Props {
  exploration: Exploration;
  format: Format;
  onFormat: (format: Format) => void;
}

export function Events({ exploration, format, onFormat }: Props) {
  const stream = useExploration(exploration);
  const { entries } = stream;
  const feed = useFeed(entries);
  const isPretty = format === 'pretty';
  return (
    <TopicGate stream={stream} isEmpty={entries.length === 0}>
      <Announcements stream={stream} />
      <Panel className="overflow-hidden">
        <div className="flex flex-wrap items-center justify-between gap-2 border-b border-line bg-raised px-4 py-2">
          <Counts snapshot={stream} />
          <div className="flex flex-wrap gap-2">
            <Choice label="Format" options={formats} value={format} onChange={onFormat} />
            <Button onClick={feed.togglePause}>{feed.heldBy ? 'Resume' : 'Pause'}</Button>
          </div>
        </div>
        <div className="relative">
          <NewEvents count={feed.waiting} onShow={feed.showNewest} />
          <EntryList
            feed={feed}
            renderEntry={(entry) => <EventRow entry={entry} isPretty={isPretty} />}
            rowHeight={isPretty ? 120 : 70}
          />
        </div>
      </Panel>
    </TopicGate>
  );
}
