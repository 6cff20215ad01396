import { useCallback, useMemo, useState, useSyncExternalStore } from 'react';
import { nextFrame } from '../frames.js';
import { type RunOptions, waitingRun } from '../run.js';
import type { Store } from '../store.js';
import { type Memory, sessionMemory } from '../views/memory.js';
import { collectRun, concatenate, type ReduceRun, type RunView } from '../views/run.js';
import { createView } from '../views/view.js';
import { useStreamClient } from './use-client.js';

/** See {@link useRun}. */
export interface UseRunOptions<T> extends RunOptions {
  /** Adds a chunk to the value. It must stay the same function between renders. Default: appends its text. */
  readonly reduce?: ReduceRun<T> | undefined;
  /** Continues with its chunks after a reload, or when it is mounted again. Default true. */
  readonly remember?: boolean | undefined;
}

/** A run in a component. */
export interface Run<T> extends RunView<T> {
  /** Follows the run again, from its first entry. */
  readonly restart: () => void;
}

/**
 * A finite stream, such as `stream:run:42`, from its first entry to its end, while the component is mounted.
 * Renders at most once per animation frame. Without a topic it waits.
 */
export function useRun<T = string>(
  topic: string | undefined,
  { reduce = append as ReduceRun<T>, events, mustExist, remember = true }: UseRunOptions<T> = {},
): Run<T> {
  const client = useStreamClient();
  const [attempt, setAttempt] = useState(0);
  const restart = useCallback(() => setAttempt((n) => n + 1), []);
  const key = JSON.stringify([topic, events]);
  const view = useMemo(() => {
    const [topic, events] = JSON.parse(key) as [string | null, string[] | null];
    if (topic === null) return idle;
    const collector = collectRun(topic, reduce, mustExist);
    // Not that of other views, of which many runs would leave nothing.
    const session = sessionMemory(`run ${client.url}`);
    const kept = { in: attempt > 0 ? forgetful(session) : session, name: key };
    const options = { from: 'start', events: events ?? [] } as const;
    const memory = remember ? kept : undefined;
    return createView<RunView<T>>(client, [topic], options, collector, {
      memory,
      schedule: nextFrame,
    });
  }, [client, key, reduce, mustExist, remember, attempt]);
  const run = useSyncExternalStore(view.subscribe, view.getSnapshot, view.getSnapshot);
  return { ...run, restart };
}

/** Without a reducer, the value is text. */
const append: unknown = concatenate;

const nothing: RunView<never> = { ...waitingRun, chunks: [], value: undefined };
const idle: Store<RunView<never>> = {
  subscribe: () => () => undefined,
  getSnapshot: () => nothing,
};

/** A memory that keeps values for the next page, and returns none of those before. */
function forgetful(memory: Memory): Memory {
  return { ...memory, take: (name) => void memory.take(name) };
}
