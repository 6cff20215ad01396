import { useId } from 'react';
import { isGlob } from '@sluice/client';
import { useStream, type UseStreamOptions, useStreamClient } from '@sluice/client/react';
import { Announcements } from '../../feed/Announcements';
import { EmptyState } from '../../ui/EmptyState';
import { EventFeed } from '../../feed/EventFeed';
import { Refused } from '../../ui/ScreenState';

interface Props extends Pick<UseStreamOptions<unknown>, 'last' | 'every' | 'events' | 'limit'> {
  /** The topics to follow; empty for the gateway's default topics. */
  topics: readonly string[];
}

/** Follows topics, and shows each event as it arrives. */
export function SSEStream({ topics: asked, ...options }: Props) {
  const stream = useStream(asked, options);
  const { status, entries, topics, refused } = stream;
  const client = useStreamClient();
  const headingId = useId();
  const isRefused = topics.length > 0 && refused.size === topics.length;

  return (
    <section
      aria-labelledby={headingId}
      className="flex min-h-0 flex-1 flex-col overflow-hidden rounded-2xl border border-line bg-surface shadow-sm"
    >
      <div className="flex flex-wrap items-center justify-between gap-x-4 gap-y-2 px-4 pt-4 pb-3 sm:px-5">
        <h2 id={headingId} className="text-[0.9375rem] font-semibold tracking-tight sm:text-lg">
          📡 Live Server-Sent Events
        </h2>
        <TopicList topics={topics} />
      </div>
      <div
        className="flow-line motion-safe:data-[phase=live]:animate-flow"
        data-phase={status.phase}
      />
      <Announcements stream={stream} />
      {[...refused].map(([topic, refusal]) => (
        <Refused key={topic} topic={topic} refusal={refusal} />
      ))}
      {!isRefused && entries.length === 0 && (
        <EmptyState topics={topics} isLive={status.phase === 'live'} url={client.url} />
      )}
      {entries.length > 0 && (
        <EventFeed
          snapshot={stream}
          showTopics={topics.length !== 1 || topics.some(isGlob)}
          labelledBy={headingId}
        />
      )}
    </section>
  );
}

function TopicList({ topics }: { topics: readonly string[] }) {
  if (topics.length === 0) return null;
  return (
    <ul aria-label="Topics" className="flex basis-full flex-wrap gap-1.5">
      {topics.map((topic) => (
        <li
          key={topic}
          className="rounded-md bg-accent-soft px-2 py-0.5 font-mono text-xs text-accent wrap-anywhere"
        >
          {topic}
        </li>
      ))}
    </ul>
  );
}
