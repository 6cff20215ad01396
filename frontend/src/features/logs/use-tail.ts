import { useMemo, useSyncExternalStore } from 'react';
import { createView, nextFrame, paced, type SubscriptionState } from '@sluice/client';
import { useStreamClient } from '@sluice/client/react';
import { MAX_LAST } from '../../lib/query-last';
import { createTail } from './tail';

/** A tail of what comes on the topics, for as long as the component is mounted. */
export function useTail(topics: readonly string[]) {
  const client = useStreamClient();
  // A new array with each render says the same.
  const key = JSON.stringify(topics);
  const [tail, view] = useMemo(() => {
    const tail = createTail({ publishing: paced(nextFrame) });
    const collector = { onEntry: tail.add, read: (state: SubscriptionState) => state };
    return [tail, createView(client, JSON.parse(key) as string[], { last: MAX_LAST }, collector)];
  }, [client, key]);
  return {
    tail,
    snapshot: useSyncExternalStore(tail.subscribe, tail.getSnapshot),
    stream: useSyncExternalStore(view.subscribe, view.getSnapshot),
  };
}
