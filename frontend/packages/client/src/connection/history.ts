import { createBuffer } from '../buffer.js';
import type { TopicFrame } from './protocol.js';
import { isKey } from './topic.js';

/** The number of an event among those of its topic; numbers have no holes. */
export interface Offset {
  /**
   * A new era begins at a fresh start, at each gap, and when the event types change. Two channels that
   * followed a topic from the same offset agree on the numbers of its events as long as the era lasts.
   */
  readonly era: string;
  readonly number: number;
}

/** Whether two offsets name the same event. */
export const isSame = (a: Offset | undefined, b: Offset): boolean =>
  a?.era === b.era && a.number === b.number;

/** An event of a topic, with its number. */
export interface Item extends Offset {
  readonly frame: TopicFrame;
  /** The literal topic of the event, also if the followed topic is a glob. */
  readonly origin: string;
  /** In milliseconds since the epoch. */
  readonly receivedAt: number;
}

/** Whether all events of a topic count, in their order, rather than the newest of each name. */
export const isOrdered = (topic: string, every: string): boolean => !isKey(topic) && every === '';

/** The bounded past of a topic, for tabs that join later. */
export interface History {
  readonly push: (item: Item) => void;
  /** The items after an offset; `undefined` if some are no longer kept, or the offset is of another channel. */
  readonly since: (offset: Offset) => readonly Item[] | undefined;
  /** The newest `count` items, or all that there are; `undefined` if wanted ones are not kept. */
  readonly newest: (count: number) => readonly Item[] | undefined;
  /** The values of a key topic; `undefined` if some were evicted. */
  readonly values: () => Values | undefined;
}

/** The newest values of keys. */
export interface Values {
  /** When the topic was followed, in milliseconds since the epoch. */
  readonly since: number;
  /** The newest one of each key that has arrived since then. */
  readonly items: ReadonlyMap<string, Item>;
  readonly newest: Item | undefined;
}

/**
 * Whether the readers of two channels have the same values of a key topic, so those of one can continue on the other
 * channel, the target. A key of which only one channel has received a value has the same value for the readers of
 * the other, unless its change is still on the way to them.
 */
export function haveSameValues(source: Values | undefined, target: Values | undefined): boolean {
  if (!source || !target) return false;
  const [newest, other] = [source.newest, target.newest];
  if (newest?.frame.kind !== 'message' || newest.origin !== other?.origin) return false;
  const isReceived = (name: string, item: Item) => {
    const own = target.items.get(name);
    return own ? textOf(own.frame) === textOf(item.frame) : item.receivedAt < other.receivedAt;
  };
  const isKnown = (name: string, item: Item) =>
    source.items.has(name) || item.frame.kind === 'gap' || item.receivedAt < source.since;
  return (
    [...source.items].every(([name, item]) => isReceived(name, item)) &&
    [...target.items].every(([name, item]) => isKnown(name, item))
  );
}

/** The content of a message; empty for a gap. */
export const textOf = (frame: TopicFrame): string =>
  frame.kind === 'gap' ? '' : `${frame.type}\n${frame.data}`;

const MAX_ITEMS = 4_096;
const MAX_CHARACTERS = 4 * 1024 * 1024;

/**
 * Keeps the past of a topic.
 *
 * @param begin - the offset before the first item
 * @param depth - the number of recent events that the first items start with, if there were so many;
 *   `Infinity` if they start with the first of all; `undefined` if the items resume from a cursor
 */
export function createHistory(
  topic: string,
  every: string,
  begin: Offset,
  depth: number | undefined,
): History {
  if (isOrdered(topic, every)) return createTail(begin, depth ?? 0);
  return createValues(topic, begin, depth);
}

/** Keeps the newest events of a topic whose events all count. */
function createTail(begin: Offset, depth: number): History {
  const buffer = createBuffer<Item>({
    limit: MAX_ITEMS,
    maxSize: MAX_CHARACTERS,
    sizeOf: ({ frame }) => (frame.kind === 'message' ? frame.data.length : 0),
  });

  function since(offset: Offset) {
    const isWhole = buffer.dropped() === 0;
    const newest = buffer.last() ?? begin;
    if (isWhole && isSame(begin, offset)) return buffer.toArray();
    // Within an era, the difference of the numbers is the number of items.
    if (newest.era === offset.era) {
      const items = buffer.toArray(Math.max(0, newest.number - offset.number));
      const [first = offset] = items;
      const isNext = first.era === offset.era && first.number === offset.number + 1;
      return isSame(newest, offset) || isNext ? items : undefined;
    }
    const items = buffer.toArray();
    const at = items.findLastIndex((item) => isSame(item, offset));
    return at < 0 ? undefined : items.slice(at + 1);
  }

  function newest(count: number) {
    const isWhole = buffer.length() >= count || (buffer.dropped() === 0 && depth >= count);
    return isWhole ? buffer.toArray(count) : undefined;
  }

  return { push: buffer.push, since, newest, values: () => undefined };
}

/** Deleted keys are kept too, for tabs that still show them: so many. */
const MAX_DELETED = 1_000;

/** Keeps the newest value of each name: of keys, and of topics whose events are conflated. */
function createValues(topic: string, begin: Offset, depth: number | undefined): History {
  /** Whether the gateway sends all current values first. */
  const isState = isKey(topic);
  const created = Date.now();
  let latest: Item | undefined;
  const values = new Map<string, Item>();
  const deleted = new Set<string>();
  /** Items up to this number may have been evicted. */
  let floor = begin.number;

  function push(item: Item) {
    const { frame } = item;
    latest = item;
    // After a gap all current values arrive again; a key that does not is deleted.
    if (frame.kind === 'gap' && isState) {
      values.clear();
      deleted.clear();
    }
    const name = frame.kind === 'gap' ? '' : item.origin;
    values.delete(name); // keeps the order of the changes
    values.set(name, item);
    deleted.delete(name);
    if (frame.kind === 'message' && frame.type === 'key.deleted') deleted.add(name);
    if (deleted.size <= MAX_DELETED) return;
    const [oldest = ''] = deleted;
    deleted.delete(oldest);
    floor = values.get(oldest)?.number ?? floor;
    values.delete(oldest);
  }

  function since({ era, number }: Offset) {
    if (era !== begin.era || number < floor) return undefined;
    return [...values.values()].filter((item) => item.number > number);
  }

  function newest(count: number) {
    if (!isState && count === 0) return [];
    if (depth === undefined || (!isState && depth < count)) return undefined;
    return [...values.values()].filter(({ frame }) => frame.kind === 'message');
  }

  function all() {
    if (!isState || floor > begin.number) return undefined;
    return { since: created, items: values, newest: latest };
  }

  return { push, since, newest, values: all };
}
