import type { Entry } from '../entry.js';
import { isKey, mayOverlap } from '../connection/topic.js';
import { parse, type StandardSchemaV1 } from './schema.js';
import type { Collector } from './view.js';

/** The newest event of a topic. */
export interface Latest<T> {
  /** `undefined` if the key is deleted, or the data does not match the schema. */
  readonly value: T | undefined;
  readonly data: string;
  /** `message`, the type that the publisher gave, `key.deleted` or `key.unsupported`. */
  readonly type: string;
  readonly id: string;
  /** When it arrived, in milliseconds since the epoch. */
  readonly at: number;
}

/** How many deleted keys are kept: names that are used once would fill the memory. */
const MAX_DELETED = 300;

/** Collects the newest event of each topic, by the topic's name; of deleted keys, the newest 300. */
export function collectLatest<T>(
  schema?: StandardSchemaV1<unknown, T>,
): Collector<ReadonlyMap<string, Latest<T>>> {
  const newest = new Map<string, Latest<T>>();
  const deleted = new Set<string>();
  let published: ReadonlyMap<string, Latest<T>> = new Map();
  let changed = false;

  function onEntry(entry: Entry) {
    if (entry.kind === 'gap') {
      if (isKey(entry.topic)) forget(entry.topic);
      return;
    }
    const { id, type, data, receivedAt: at } = entry;
    const value = type.startsWith('key.') ? undefined : parse(data, schema).value;
    newest.set(entry.topic, { value, data, type, id, at });
    deleted.delete(entry.topic);
    if (type === 'key.deleted') deleted.add(entry.topic);
    changed = true;
    if (deleted.size <= MAX_DELETED) return;
    const [oldest = ''] = deleted;
    deleted.delete(oldest);
    newest.delete(oldest);
  }

  /** After a gap all current values arrive again; a key that does not is deleted. */
  function forget(topic: string) {
    for (const name of newest.keys()) {
      if (!mayOverlap(topic, name)) continue;
      newest.delete(name);
      deleted.delete(name);
    }
    changed = true;
  }

  function read() {
    if (changed) published = new Map(newest);
    changed = false;
    return published;
  }

  return { onEntry, read };
}
