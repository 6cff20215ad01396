import { useMemo, useSyncExternalStore } from 'react';
import { collectEntries, type Entries, type EntriesOptions } from '../views/entries.js';
import { sessionMemory } from '../views/memory.js';
import type { SubscribeOptions } from '../subscription.js';
import { useStreamClient } from './use-client.js';
import { createView } from '../views/view.js';

/** See {@link useStream}. */
export interface UseStreamOptions<T> extends SubscribeOptions, EntriesOptions<T> {
  /**
   * Goes on where it was, with what it had, after a reload, or when it is mounted again. Default true;
   * false where another part of the page follows the same topics from the beginning.
   */
  readonly remember?: boolean;
}

/**
 * The newest entries of some topics, for as long as the component is mounted; no topics are the gateway's
 * default ones. Renders with the next frame, in a flood ten times a second. A `schema` must stay the same object between renders.
 */
export function useStream<T = unknown>(
  topics: string | readonly string[],
  { schema, last, every, events, limit, maxCharacters, remember = true }: UseStreamOptions<T> = {},
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
    const memory = remember ? { in: sessionMemory(client.url), name: key } : undefined;
    return createView(client, topics, subscription, collector, { memory });
  }, [client, key, schema, remember]);
  return useSyncExternalStore(view.subscribe, view.getSnapshot);
}
