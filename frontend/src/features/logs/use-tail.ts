import { useEffect, useMemo, useSyncExternalStore } from 'react';
import { useStreamClient } from '../../stream/react/use-client';
import { nextFrame, paced } from '../../stream/frames';
import { createTail, type Tail, type TailSnapshot } from './tail';

/** As much history as the gateway gives. */
const HISTORY = 1_000;

/** A tail of what comes on the topics, for as long as the component is mounted. */
export function useTail(topics: readonly string[]): { tail: Tail; snapshot: TailSnapshot } {
  const client = useStreamClient();
  // A new array with each render says the same.
  const key = JSON.stringify(topics);
  const [tail, follow] = useMemo(() => {
    const tail = createTail({ publishing: paced(nextFrame) });
    const followed = JSON.parse(key) as string[];
    return [tail, () => client.subscribe(followed, { last: HISTORY }, { onEntry: tail.add })];
  }, [client, key]);
  useEffect(() => follow(), [follow]);
  return { tail, snapshot: useSyncExternalStore(tail.subscribe, tail.getSnapshot) };
}
