import { useMemo, useSyncExternalStore } from 'react';
import { collectEntries, type Entries, type EntriesOptions } from '../views/entries';
import { sessionMemory } from '../views/memory';
import type { SubscribeOptions } from '../subscription';
import { useStreamClient } from './use-client';
import { createView } from '../views/view';

/** See {@link useStream}. */
export interface UseStreamOptions<T> extends SubscribeOptions, EntriesOptions<T> {}

/**
 * The newest entries of some topics, for as long as the component is mounted; no topics are the gateway's
 * default ones. Renders with the next frame, in a flood ten times a second. A `schema` must stay the same object between renders.
 */
export function useStream<T = unknown>(
  topics: string | readonly string[],
  { schema, last, every, events, limit, maxCharacters }: UseStreamOptions<T> = {},
): Entries<T> {
  const client = useStreamClient();
  const list = typeof topics === 'string' ? [topics] : topics;
  // Arrays and options are new objects with each render; what they say is the same.
  const key = JSON.stringify([list, { last, every, events }, { limit, maxCharacters }]);
  const view = useMemo(() => {
    const [topics, subscription, bounds] = JSON.parse(key) as [
      string[],
      SubscribeOptions,
      EntriesOptions<T>,
    ];
    const collector = collectEntries({ ...bounds, schema });
    const memory = { in: sessionMemory(client.url), name: key };
    return createView(client, topics, subscription, collector, { memory });
  }, [client, key, schema]);
  return useSyncExternalStore(view.subscribe, view.getSnapshot);
}
