import type { Entries, Entry } from '@sluice/client';
import { Counts } from './Counts';
import { EntryList } from './EntryList';
import { GapRow } from './GapRow';
import { MessageRow } from './MessageRow';
import { NewEvents } from './NewEvents';
import { useFeed } from './use-feed';

interface Props {
  snapshot: Entries<unknown>;
  showTopics: boolean;
  labelledBy: string;
}

/** The list of entries. It does not change while the reader has scrolled down or paused it. */
export function EventFeed({ snapshot, showTopics, labelledBy }: Props) {
  const feed = useFeed(snapshot.entries);

  function renderEntry(entry: Entry) {
    return entry.kind === 'gap' ? (
      <GapRow gap={entry} showTopic={showTopics} />
    ) : (
      <MessageRow message={entry} showTopic={showTopics} />
    );
  }

  return (
    <>
      <div className="flex items-center justify-between gap-4 border-b border-line bg-raised px-4 py-1.5 sm:px-5">
        <Counts snapshot={snapshot} />
        <button type="button" className="button" onClick={feed.togglePause}>
          {feed.heldBy ? 'Resume' : 'Pause'}
        </button>
      </div>
      <div className="relative flex min-h-0 flex-1 flex-col">
        <NewEvents count={feed.waiting} onShow={feed.showNewest} />
        <EntryList
          feed={feed}
          renderEntry={renderEntry}
          rowHeight={38}
          labelledBy={labelledBy}
          className="min-h-0 flex-1"
        />
      </div>
    </>
  );
}
