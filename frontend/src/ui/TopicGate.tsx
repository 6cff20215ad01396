import type { ReactNode } from 'react';
import type { SubscriptionState } from '@sluice/client';
import { useStreamClient } from '@sluice/client/react';
import type { Publication } from '../lib/commands';
import { EmptyState } from './EmptyState';
import { Loading, Refused } from './ScreenState';

interface Props {
  /** The subscription that the children show. */
  stream: SubscriptionState;
  /** Nothing has come yet. */
  isEmpty: boolean;
  /** An event as the children expect it, for those who want to send one. */
  example?: Publication;
  children: ReactNode;
}

/** Shows the children when data has arrived, and before that the state of the connection and what to do. */
export function TopicGate({ stream, isEmpty, example, children }: Props) {
  const { status, topics, refused } = stream;
  const client = useStreamClient();
  const isRefused = topics.length > 0 && refused.size === topics.length;
  const isLive = status.phase === 'live';
  return (
    <>
      {[...refused].map(([topic, refusal]) => (
        <Refused key={topic} topic={topic} refusal={refusal} />
      ))}
      {!isEmpty && children}
      {isEmpty && !isRefused && !isLive && <Loading />}
      {isEmpty && !isRefused && isLive && (
        <EmptyState topics={topics} isLive={isLive} url={client.url} example={example} />
      )}
    </>
  );
}
