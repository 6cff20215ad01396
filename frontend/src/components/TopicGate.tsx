import type { ReactNode } from 'react';
import { useStreamClient } from '../stream/react/use-client';
import { useStreamStatus } from '../stream/react/use-stream-status';
import { EmptyState } from './EmptyState';
import { Loading, Refused } from './ScreenState';

interface Props {
  /** What the children show. */
  topics: readonly string[];
  /** Nothing has come yet. */
  isEmpty: boolean;
  children: ReactNode;
}

/** Shows the children as soon as there is something to show; before, what one waits for or has to do. */
export function TopicGate({ topics, isEmpty, children }: Props) {
  const { status, refused } = useStreamStatus();
  const client = useStreamClient();
  const refusals = topics.flatMap((topic) => {
    const refusal = refused.get(topic);
    return refusal ? [{ topic, refusal }] : [];
  });
  const isLive = status.phase === 'live';
  return (
    <>
      {refusals.map(({ topic, refusal }) => (
        <Refused key={topic} topic={topic} refusal={refusal} />
      ))}
      {!isEmpty && children}
      {isEmpty && refusals.length < topics.length && !isLive && <Loading />}
      {isEmpty && refusals.length < topics.length && isLive && (
        <EmptyState topics={topics} isLive={isLive} eventsURL={`${client.url}/events`} />
      )}
    </>
  );
}
