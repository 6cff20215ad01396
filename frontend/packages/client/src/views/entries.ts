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

/** A browser's session storage holds a few MiB. */
const MAX_SAVED = 200;
const MAX_SAVED_CHARACTERS = 256 * 1024;

/** Collects the newest entries. */
export function collectEntries<T>(options: EntriesOptions<T>): Collector<Entries<T>> {
  const { limit = 200, maxCharacters = 16 * 1024 * 1024, schema } = options;
  let state = create();

  function create() {
    const buffer = createBuffer<ParsedEntry<T> | GapEntry>({
      limit,
      maxSize: maxCharacters,
      sizeOf: (entry) => (entry.kind === 'message' ? entry.data.length : 0),
    });
    // `unsaved` is the number of entries that were lost in a reload.
    return { buffer, received: 0, missed: 0, invalid: 0, seq: 0, unsaved: 0 };
  }

  function add(to: typeof state, arrived: Entry) {
    to.seq += 1; // counts those from before a reload too
    const { seq } = to;
    if (arrived.kind === 'gap') {
      to.missed += arrived.lost ?? 0;
      to.buffer.push({ ...arrived, seq });
      return;
    }
    const parsed = parse(arrived.data, schema);
    to.received += 1;
    if (parsed.invalid !== undefined) to.invalid += 1;
    to.buffer.push({ ...arrived, ...parsed, seq });
  }

  function save() {
    const { buffer } = state;
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
    const { received, missed } = state;
    return { entries, received, missed, dropped: dropped() + buffer.length() - entries.length };
  }

  function restore(saved: unknown) {
    const { entries, received, missed, dropped } = saved as ReturnType<typeof save>;
    const restored = create();
    for (const entry of entries) add(restored, entry);
    state = { ...restored, received, missed, unsaved: dropped - restored.buffer.dropped() };
  }

  const dropped = () => state.unsaved + state.buffer.dropped();

  function read(subscribed: SubscriptionState): Entries<T> {
    const { buffer, received, missed, invalid } = state;
    return {
      ...{ ...subscribed, entries: buffer.toArray(), received, missed, invalid },
      dropped: dropped(),
    };
  }

  return { onEntry: (entry) => add(state, entry), save, restore, read };
}
