import { useMemo, useSyncExternalStore } from 'react';
import { collectLatest, type Latest } from '../views/latest.js';
import type { StandardSchemaV1 } from '../views/schema.js';
import type { SubscribeOptions } from '../subscription.js';
import { useStreamClient } from './use-client.js';
import { createView } from '../views/view.js';

/** See {@link useLatest}. */
export interface UseLatestOptions<T> extends Omit<SubscribeOptions, 'last' | 'from'> {
  readonly schema?: StandardSchemaV1<unknown, T>;
}

/**
 * The newest event of each topic that a topic or glob stands for, by name, such as `key:price:BTC`; for a
 * literal topic it is `useLatest(topic).get(topic)`. Renders with the next frame, and ten times a second while events arrive fast.
 */
export function useLatest<T = unknown>(
  topic: string,
  { schema, every, events }: UseLatestOptions<T> = {},
): ReadonlyMap<string, Latest<T>> {
  const client = useStreamClient();
  const key = JSON.stringify({ every, events });
  const view = useMemo(() => {
    const options = JSON.parse(key) as SubscribeOptions;
    return createView(client, [topic], { ...options, last: 1 }, collectLatest(schema));
  }, [client, topic, key, schema]);
  return useSyncExternalStore(view.subscribe, view.getSnapshot, view.getSnapshot);
}
