import { useMemo, useSyncExternalStore } from 'react';
import { collectEntries, type Entries, type EntriesOptions } from '../views/entries.js';
import { sessionMemory } from '../views/memory.js';
import type { SubscribeOptions } from '../subscription.js';
import { useStreamClient } from './use-client.js';
import { createView } from '../views/view.js';

/** See {@link useStream}. */
export interface UseStreamOptions<T> extends SubscribeOptions, EntriesOptions<T> {
  /**
   * Resumes with its entries after a reload, or when it is mounted again. Default true;
   * use false if another part of the page follows the same topics from the beginning.
   */
  readonly remember?: boolean;
}

/**
 * The newest entries of some topics, while the component is mounted; an empty list stands for the gateway's
 * default topics. Renders with the next frame, and ten times a second while events arrive fast. A `schema` must stay the same object between renders.
 */
export function useStream<T = unknown>(
  topics: string | readonly string[],
  { schema, last, every, events, limit, maxCharacters, remember = true }: UseStreamOptions<T> = {},
): Entries<T> {
  const client = useStreamClient();
  const list = typeof topics === 'string' ? [topics] : topics;
  // Arrays and options are new objects in each render with the same content.
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
  return useSyncExternalStore(view.subscribe, view.getSnapshot, view.getSnapshot);
}
