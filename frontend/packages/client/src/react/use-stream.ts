import { useMemo, useSyncExternalStore } from 'react';
import { collectEntries, type Entries, type EntriesOptions } from '../views/entries.js';
import { sessionMemory } from '../views/memory.js';
import type { SubscribeOptions } from '../subscription.js';
import { useStreamClient } from './use-client.js';
import { createView } from '../views/view.js';

/** See {@link useStream}. */
export interface UseStreamOptions<T> extends Omit<SubscribeOptions, 'from'>, EntriesOptions<T> {
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
  // Arrays are new objects in each render with the same content.
  const lists = JSON.stringify([list, events]);
  const view = useMemo(() => {
    const [topics, events] = JSON.parse(lists) as [string[], string[] | null];
    const subscription = { last, every, events: events ?? [] };
    const name = JSON.stringify([topics, subscription, { limit, maxCharacters }]);
    const memory = remember ? { in: sessionMemory(client.url), name } : undefined;
    const collector = collectEntries({ limit, maxCharacters, schema });
    return createView(client, topics, subscription, collector, { memory });
  }, [client, lists, last, every, limit, maxCharacters, schema, remember]);
  return useSyncExternalStore(view.subscribe, view.getSnapshot, view.getSnapshot);
}
