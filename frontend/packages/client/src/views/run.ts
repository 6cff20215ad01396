import type { Entry } from '../entry.js';
import { addEntry, newRecord, type RunChunk, type RunState, stateOf } from '../run.js';
import type { SubscriptionState } from '../subscription.js';
import type { Collector } from './view.js';

/** A run as a page shows it. */
export interface RunView<T> extends RunState {
  /** The entries so far, without the end. */
  readonly chunks: readonly RunChunk[];
  /** The chunks, reduced; `undefined` before the first one. */
  readonly value: T | undefined;
}

/** Adds a chunk to the value of a run. */
export type ReduceRun<T> = (value: T | undefined, chunk: RunChunk) => T;

/** Appends the text of a chunk. */
export const concatenate: ReduceRun<string> = (value = '', { data }) => value + data;

/**
 * Collects the chunks of a run. The subscription must follow the topic from its start.
 *
 * @param mustExist - whether a stream that does not exist is missing, rather than waited for
 */
export function collectRun<T>(
  topic: string,
  reduce: ReduceRun<T>,
  mustExist = false,
): Collector<RunView<T>> {
  let record = newRecord();
  let chunks: RunChunk[] = [];
  let published: readonly RunChunk[] = [];
  let value: T | undefined;

  function onEntry(entry: Entry) {
    const chunk = addEntry(record, entry);
    if (!chunk) return;
    chunks.push(chunk);
    value = reduce(value, chunk);
  }

  function read(state: SubscriptionState): RunView<T> {
    if (published.length !== chunks.length) published = [...chunks];
    return { ...stateOf(record, state, topic, mustExist), chunks: published, value };
  }

  const save = () => ({ record, chunks });

  function restore(saved: unknown) {
    const { record: known, chunks: kept } = saved as ReturnType<typeof save>;
    // The reducer may throw.
    value = kept.reduce<T | undefined>((value, chunk) => reduce(value, chunk), undefined);
    record = known;
    chunks = [...kept];
  }

  return { onEntry, read, save, restore };
}
