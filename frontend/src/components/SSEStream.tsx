import { useId, useMemo } from 'react';
import { soleTopic } from '../stream/protocol';
import { createStream } from '../stream/stream';
import { useStream } from '../stream/use-stream';
import { Announcements } from './Announcements';
import { ConnectionNotice } from './ConnectionNotice';
import { EmptyState } from './EmptyState';
import { EventFeed } from './EventFeed';
import { StatusPill } from './StatusPill';
import { TopicList } from './TopicList';

interface Props {
  /** The gateway's `/events`, absolute or relative to the page, with the topics in its query. */
  url: string;
  /** How many entries to keep. Default 200. */
  limit?: number;
}

/** Follows a stream, and shows each event as it arrives. */
export function SSEStream({ url, limit = 200 }: Props) {
  const stream = useMemo(() => createStream(url, { limit }), [url, limit]);
  const snapshot = useStream(stream);
  const { status, entries, opened } = snapshot;
  const topics = opened?.topics ?? [];
  const eventsURL = new URL(url, document.baseURI);
  const headingId = useId();

  return (
    <section
      aria-labelledby={headingId}
      className="flex min-h-0 flex-1 flex-col overflow-hidden rounded-2xl border border-line bg-surface shadow-sm"
    >
      <div className="flex flex-wrap items-center justify-between gap-x-4 gap-y-2 px-4 pt-4 pb-3 sm:px-5">
        <h2 id={headingId} className="text-[0.9375rem] font-semibold tracking-tight sm:text-lg">
          📡 Live Server-Sent Events
        </h2>
        <StatusPill status={status} />
        <TopicList topics={topics} />
      </div>
      <div
        className="flow-line motion-safe:data-[phase=live]:animate-flow"
        data-phase={status.phase}
      />
      <ConnectionNotice status={status} server={eventsURL.origin} onRetry={stream.retryNow} />
      <Announcements snapshot={snapshot} />
      {entries.length === 0 ? (
        <EmptyState topics={topics} isLive={status.phase === 'live'} eventsURL={eventsURL.href} />
      ) : (
        <EventFeed
          snapshot={snapshot}
          showTopics={soleTopic(topics) === undefined}
          labelledBy={headingId}
        />
      )}
    </section>
  );
}
