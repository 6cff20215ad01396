import { useMemo, useSyncExternalStore } from 'react';
import {
  collectEntries,
  createView,
  type Entries,
  sessionMemory,
  subscribedAs,
} from '@sluice/client';
import { useStreamClient } from '@sluice/client/react';
import type { Exploration } from './topics';

/**
 * The newest entries of the topics. Unlike `useStream`, it keeps the entries of topics that stay, and resumes
 * these topics, when others are added or removed.
 */
export function useExploration(exploration: Exploration): Entries<unknown> {
  const client = useStreamClient();
  const key = JSON.stringify(exploration);
  const view = useMemo(() => {
    const { topics, last, every, events } = JSON.parse(key) as Exploration;
    const entries = collectEntries<unknown>({});
    const options = { last, every: every || undefined, events };
    // The name does not depend on the topics, so the next view begins with what this one has kept.
    const name = `explorer ${JSON.stringify(options)}`;
    const memory = { in: sessionMemory(client.url), name };
    return createView(client, topics, options, { ...entries, read }, { memory });

    function read(...state: Parameters<typeof entries.read>) {
      const all = entries.read(...state);
      const isFollowed = ({ topic }: { topic: string }) =>
        subscribedAs(topic, topics) !== undefined;
      return { ...all, entries: all.entries.filter(isFollowed) };
    }
  }, [client, key]);
  return useSyncExternalStore(view.subscribe, view.getSnapshot);
}
