import { createBuffer } from '../buffer';
import { isKey } from '../line/topic';
import type { GapFrame, MessageFrame } from '../line/protocol';

/** A position among the items of a topic. */
export interface Mark {
  /** Grows; see {@link Item}. */
  readonly era: number;
  readonly number: number;
}

/**
 * An event with its number among those of its topic. Numbers have no holes. A new era begins with each gap
 * and with each fresh start, so that two who followed the same topic from the same mark on different
 * connections agree on the number of an event: it comes from its order alone. Marks of two fresh starts have
 * nothing to do with each other: nobody goes on from a mark of an era that they have not seen themselves.
 */
export interface Item extends Mark {
  readonly frame: MessageFrame | GapFrame;
  /** Where the event came from; a literal topic also where a glob is followed. */
  readonly origin: string;
  /** In milliseconds since the epoch. */
  readonly receivedAt: number;
}

/** Whether `a` comes after `b`. */
export const isAfter = (a: Mark, b: Mark): boolean =>
  a.era > b.era || (a.era === b.era && a.number > b.number);

/** Whether nothing lies between `a` and `b`. */
export const isNext = (a: Mark, b: Mark): boolean => a.era >= b.era && a.number === b.number + 1;

/** Whether all events of a topic count, in their order, rather than the newest of each name. */
export const isOrdered = (topic: string, every: string): boolean => !isKey(topic) && every === '';

/** What is remembered of a topic, for those who come later. */
export interface History {
  readonly push: (item: Item) => void;
  /** What came after a mark; `undefined` where that is not remembered in full, or the mark is another's. */
  readonly since: (mark: Mark) => readonly Item[] | undefined;
  /** The newest `count` items, or all that there are; `undefined` where older ones are among the wanted. */
  readonly newest: (count: number) => readonly Item[] | undefined;
}

/** One of events in order, which another tab or connection can go on with. */
export interface Tail extends History {
  readonly copy: () => Tail;
}

const MAX_ITEMS = 4_096;
const MAX_CHARACTERS = 4 * 1024 * 1024;

/**
 * Remembers the newest events in order, within bounds.
 *
 * @param begin - the mark after which the first item comes
 * @param depth - with how many recent events the first items begin, where there were so many
 * @param past - the first items
 */
export function createTail(begin: Mark, depth: number, past: readonly Item[] = []): Tail {
  const buffer = createBuffer<Item>({
    limit: MAX_ITEMS,
    maxSize: MAX_CHARACTERS,
    sizeOf: ({ frame }) => (frame.kind === 'message' ? frame.data.length : 0),
  });

  function since(mark: Mark) {
    const items = buffer.toArray();
    const known = buffer.dropped() === 0 ? [begin, ...items] : items;
    const [oldest] = known;
    const isWhole =
      oldest &&
      known.some(({ era }) => era === mark.era) &&
      (!isAfter(oldest, mark) || isNext(oldest, mark));
    return isWhole ? items.filter((item) => isAfter(item, mark)) : undefined;
  }

  function newest(count: number) {
    const items = buffer.toArray();
    const isWhole = items.length >= count || (buffer.dropped() === 0 && depth >= count);
    return isWhole ? items.slice(Math.max(0, items.length - count)) : undefined;
  }

  function copy(): Tail {
    const items = buffer.toArray();
    const [oldest] = items;
    if (buffer.dropped() === 0 || !oldest) return createTail(begin, depth, items);
    return createTail({ era: oldest.era, number: oldest.number - 1 }, 0, items);
  }

  past.forEach(buffer.push);
  return { push: buffer.push, since, newest, copy };
}

/** Names that are gone are kept too, for those who still show them: so many. */
const MAX_GONE = 1_000;

interface ValuesOptions {
  /** The mark after which the first item comes. */
  readonly begin: Mark;
  /** The present values count, and come first without being asked for. */
  readonly isState: boolean;
  /** With how many recent events it began; `undefined` where it goes on from a place, so that much is older. */
  readonly depth: number | undefined;
}

/**
 * Remembers the newest value of each name, which is what counts of keys, and wherever events are left out
 * on purpose.
 */
export function createValues({ begin, isState, depth }: ValuesOptions): History {
  const values = new Map<string, Item>();
  const gone = new Set<string>();
  const eras = new Set([begin.era]);
  let floor = begin;

  function push(item: Item) {
    const { frame } = item;
    eras.add(item.era);
    // After a gap all present values come again, and what does not is gone.
    if (frame.kind === 'gap' && isState) {
      values.clear();
      gone.clear();
    }
    const name = frame.kind === 'gap' ? '' : item.origin;
    values.delete(name); // so that they stay in the order of their changes
    values.set(name, item);
    gone.delete(name);
    if (frame.kind === 'message' && frame.type === 'key.deleted') gone.add(name);
    if (gone.size > MAX_GONE) forgetOldest();
  }

  function forgetOldest() {
    const [name = ''] = gone;
    gone.delete(name);
    floor = values.get(name) ?? floor;
    values.delete(name);
  }

  function since(mark: Mark) {
    const isWhole = eras.has(mark.era) && !isAfter(floor, mark);
    return isWhole ? [...values.values()].filter((item) => isAfter(item, mark)) : undefined;
  }

  function newest(count: number) {
    if (!isState && count === 0) return [];
    const isWhole = depth !== undefined && (isState || depth >= count);
    if (!isWhole) return undefined;
    return [...values.values()].filter(({ frame }) => frame.kind === 'message');
  }

  return { push, since, newest };
}
