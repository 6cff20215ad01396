import { useMemo, useState, useSyncExternalStore } from 'react';
import { createBatch, nextFrame } from '../frames.js';
import { type RunChunk, type RunState, waitingRun } from '../run.js';
import type { Store } from '../store.js';
import { useStreamClient } from './use-client.js';

/** See {@link useRun}. */
export interface UseRunOptions<T> {
  /**
   * Adds a chunk to the value of the run. It must stay the same function between renders. Default: the texts of
   * all chunks in a row.
   */
  readonly reduce?: (value: T | undefined, chunk: RunChunk) => T;
}

/** A run as a component shows it. */
export interface Run<T> extends RunState {
  readonly chunks: readonly RunChunk[];
  /** The chunks, reduced; `undefined` before the first one. */
  readonly value: T | undefined;
  /** Follows the run from its first entry again. */
  readonly restart: () => void;
}

const concatenate = (value: unknown, { data }: RunChunk) =>
  `${typeof value === 'string' ? value : ''}${data}`;

/**
 * Follows a finite stream, such as `stream:run:42`, from its first entry to its end. It renders at most once for
 * each animation frame, however many chunks arrive. Without a topic it waits.
 */
export function useRun<T = string>(
  topic: string | undefined,
  { reduce = concatenate as (value: T | undefined, chunk: RunChunk) => T }: UseRunOptions<T> = {},
): Run<T> {
  const client = useStreamClient();
  const [attempt, setAttempt] = useState(1);
  const store = useMemo(() => {
    // Each attempt has its own store, which follows the run from the start.
    const restart = () => setAttempt(attempt + 1);
    return createRunStore<T>(topic, client.followRun, reduce, restart);
  }, [topic, client, reduce, attempt]);
  return useSyncExternalStore(store.subscribe, store.getSnapshot);
}

function createRunStore<T>(
  topic: string | undefined,
  follow: ReturnType<typeof useStreamClient>['followRun'],
  reduce: (value: T | undefined, chunk: RunChunk) => T,
  restart: () => void,
): Store<Run<T>> {
  const listeners = new Set<() => void>();
  let chunks: RunChunk[] = [];
  let value: T | undefined;
  let state = waitingRun;
  let snapshot: Run<T> = { ...state, chunks, value, restart };
  let stop: (() => void) | undefined;
  const batch = createBatch(() => {
    snapshot = { ...state, chunks: [...chunks], value, restart };
    listeners.forEach((onChange) => onChange());
  }, nextFrame);

  function begin() {
    if (topic === undefined) return;
    chunks = [];
    value = undefined;
    state = waitingRun;
    stop = follow(
      topic,
      {},
      {
        onChunk: (chunk) => {
          chunks.push(chunk);
          value = reduce(value, chunk);
          batch.request();
        },
        onState: (next) => {
          state = next;
          batch.request();
        },
      },
    );
  }

  return {
    subscribe: (onChange) => {
      if (listeners.size === 0) begin();
      listeners.add(onChange);
      return () => {
        listeners.delete(onChange);
        if (listeners.size > 0) return;
        stop?.();
        batch.cancel();
      };
    },
    getSnapshot: () => snapshot,
  };
}
