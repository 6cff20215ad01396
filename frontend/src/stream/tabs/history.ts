import { createBuffer } from '../buffer';
import type { GapFrame, MessageFrame } from '../line/protocol';

/** A position among the items of a topic. */
export interface Mark {
  /** Grows; see {@link Item}. */
  readonly era: number;
  readonly number: number;
}

/**
 * An event with its number among those of its topic. Numbers have no holes until a gap, with which a new
 * era begins, so that two who followed the same topic on different connections agree on the number of an
 * event: it comes from its order alone.
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
const isNext = (a: Mark, b: Mark) => a.era === b.era && a.number === b.number + 1;

/** What is remembered of a topic, for those who come later. */
export interface History {
  readonly push: (item: Item) => void;
  /** What came after a mark; `undefined` where that is not remembered in full. */
  readonly since: (mark: Mark) => readonly Item[] | undefined;
  /** The newest `count` items, or all that there are; `undefined` where older ones are among the wanted. */
  readonly newest: (count: number) => readonly Item[] | undefined;
}

const MAX_ITEMS = 4_096;
const MAX_CHARACTERS = 4 * 1024 * 1024;

/**
 * Remembers the newest events in order, within bounds.
 *
 * @param begin - the mark after which the first item comes
 * @param depth - with how many recent events the first items begin, where there were so many
 */
export function createTail(begin: Mark, depth: number): History {
  const buffer = createBuffer<Item>({
    limit: MAX_ITEMS,
    maxSize: MAX_CHARACTERS,
    sizeOf: ({ frame }) => (frame.kind === 'message' ? frame.data.length : 0),
  });

  function since(mark: Mark) {
    const items = buffer.toArray();
    const oldest = items[0];
    const isWhole =
      buffer.dropped() === 0
        ? !isAfter(begin, mark)
        : oldest && (!isAfter(oldest, mark) || isNext(oldest, mark));
    return isWhole ? items.filter((item) => isAfter(item, mark)) : undefined;
  }

  function newest(count: number) {
    const items = buffer.toArray();
    const isWhole = items.length >= count || (buffer.dropped() === 0 && depth >= count);
    return isWhole ? items.slice(Math.max(0, items.length - count)) : undefined;
  }

  return { push: buffer.push, since, newest };
}

/**
 * Remembers the newest value of each name, which is what counts of keys, and wherever events are left out
 * on purpose.
 *
 * @param isState - whoever comes gets the present values, although none of the past was asked for
 */
export function createValues(isState: boolean): History {
  const values = new Map<string, Item>();

  function push(item: Item) {
    const name = item.frame.kind === 'gap' ? '' : item.origin;
    values.delete(name); // so that they stay in the order of their changes
    values.set(name, item);
  }

  return {
    push,
    since: (mark) => [...values.values()].filter((item) => isAfter(item, mark)),
    newest: (count) =>
      isState || count > 0
        ? [...values.values()].filter(({ frame }) => frame.kind === 'message')
        : [],
  };
}
