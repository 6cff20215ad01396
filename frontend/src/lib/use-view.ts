import { useMemo, useSyncExternalStore } from 'react';
import { type Collector, createView, type SubscribeOptions } from '@sluice/client';
import { useStreamClient } from '@sluice/client/react';

/**
 * What a collector makes of some topics, while the component is mounted. `collect` and `options` must be the same
 * with each render.
 */
export function useView<T>(
  topics: readonly string[],
  options: SubscribeOptions,
  collect: () => Collector<T>,
): T {
  const client = useStreamClient();
  // Callers pass a new array with each render.
  const key = JSON.stringify(topics);
  const view = useMemo(
    () => createView(client, JSON.parse(key) as string[], options, collect()),
    [client, key, options, collect],
  );
  return useSyncExternalStore(view.subscribe, view.getSnapshot);
}
