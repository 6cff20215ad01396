import { createBuffer } from '../buffer.js';
import type { SubscriptionState } from '../subscription.js';
import type { Entry, GapEntry, MessageEntry } from '../entry.js';
import { parse, type Parsed, type StandardSchemaV1 } from './schema.js';
import type { Collector } from './view.js';

/** A message with the value in its data. */
export type ParsedEntry<T> = MessageEntry & Parsed<T>;

/** A snapshot of a subscription's newest entries. */
export interface Entries<T> extends SubscriptionState {
  /** The newest messages and gaps in order of arrival, oldest first, no more than the limit. */
  readonly entries: readonly (ParsedEntry<T> | GapEntry)[];
  /** All messages so far, also those that are no longer among `entries`. */
  readonly received: number;
  /** All events that gaps counted as lost. */
  readonly missed: number;
  /** The number of messages whose data is not JSON or does not match the schema; they have no value. */
  readonly invalid: number;
  /** The number of entries that are not kept, to stay within the limits or those of a reload. */
  readonly dropped: number;
}

export interface EntriesOptions<T> {
  /** How many entries to keep. Default 200. */
  readonly limit?: number | undefined;
  /** How many characters of data to keep, as large payloads would otherwise fill the memory. Default 16 Mi. */
  readonly maxCharacters?: number | undefined;
  readonly schema?: StandardSchemaV1<unknown, T> | undefined;
}

interface Saved {
  readonly entries: readonly Entry[];
  readonly received: number;
  readonly missed: number;
  readonly dropped: number;
}

/** A browser's session storage holds a few MiB. */
const MAX_SAVED = 200;
const MAX_SAVED_CHARACTERS = 256 * 1024;

/** Collects the newest entries. */
export function collectEntries<T>(options: EntriesOptions<T>): Collector<Entries<T>> {
  const { limit = 200, maxCharacters = 16 * 1024 * 1024, schema } = options;
  const buffer = createBuffer<ParsedEntry<T> | GapEntry>({
    limit,
    maxSize: maxCharacters,
    sizeOf: (entry) => (entry.kind === 'message' ? entry.data.length : 0),
  });
  let received = 0;
  let missed = 0;
  let invalid = 0;
  let seq = 0;
  /** The number of entries that were lost in a reload. */
  let unsaved = 0;

  function onEntry(arrived: Entry) {
    seq += 1; // counts those from before a reload too
    if (arrived.kind === 'gap') {
      missed += arrived.lost ?? 0;
      buffer.push({ ...arrived, seq });
      return;
    }
    const parsed = parse(arrived.data, schema);
    received += 1;
    if (parsed.invalid !== undefined) invalid += 1;
    buffer.push({ ...arrived, ...parsed, seq });
  }

  function save(): Saved {
    const entries: Entry[] = [];
    let free = MAX_SAVED_CHARACTERS;
    for (const { ...entry } of buffer.toArray(MAX_SAVED).reverse()) {
      if (entry.kind === 'message') {
        // A large message must not displace the smaller ones before it.
        if (entry.data.length > free) continue;
        free -= entry.data.length;
        // The value can be parsed again.
        delete entry.value;
        delete entry.invalid;
      }
      entries.unshift(entry);
    }
    return { entries, received, missed, dropped: dropped() + buffer.length() - entries.length };
  }

  function restore(saved: unknown) {
    const { entries, ...counts } = saved as Saved;
    entries.forEach(onEntry);
    ({ received, missed } = counts);
    unsaved = counts.dropped - buffer.dropped();
  }

  const dropped = () => unsaved + buffer.dropped();

  return {
    onEntry,
    save,
    restore,
    read: (state) => ({
      ...state,
      entries: buffer.toArray(),
      received,
      missed,
      invalid,
      dropped: dropped(),
    }),
  };
}
