import type { Collector, Entry, Series, SubscriptionState } from '@sluice/client';
import { parse } from '@sluice/client';
import { timeOf } from '../../lib/time-of';
import { figuresOf, isSum } from './figures';

/** A publisher can use ids as names. */
const MAX_COLUMNS = 64;
const MAX_LEFT_OUT = 1_000;
/** Old buckets are evicted in groups of this size, as each eviction moves all others. */
const SPARE = 60;

/** The figures of a topic over time, and the state of its subscription. */
export interface Buckets extends Series, SubscriptionState {
  /** When the newest message arrived, in milliseconds since the epoch; `undefined` before the first. */
  readonly newestAt: number | undefined;
}

type Column = (number | null)[];

/**
 * Collects the figures of messages in buckets of one second: sums of counts, the newest of other figures. Memory
 * and rendering depend on the time shown, not on the rate of events.
 *
 * @param kept - how many seconds to keep
 */
export function collectBuckets(kept: number): Collector<Buckets> {
  /** Ascending: whole seconds since the epoch, and the times of gaps. */
  const times: number[] = [];
  const columns = new Map<string, Column>();
  const leftOut = new Set<string>();
  let gaps: number[] = [];
  let newestAt: number | undefined;

  function onEntry(entry: Entry) {
    const received = entry.receivedAt / 1_000;
    if (entry.kind === 'gap') {
      gaps.push(received);
      bucketAt(received);
    } else {
      newestAt = entry.receivedAt;
      const { value } = parse<unknown>(entry.data);
      const figures = figuresOf(value);
      // A time in the future would evict all buckets before it.
      if (figures)
        add(Math.floor(Math.min((timeOf(value) ?? Infinity) / 1_000, received)), figures);
    }
    evict();
  }

  function add(second: number, figures: Readonly<Record<string, number>>) {
    if (second <= newest() - kept) return;
    const bucket = bucketAt(second);
    for (const [name, figure] of Object.entries(figures)) {
      const column = columnFor(name);
      if (!column) continue;
      column[bucket] = isSum(name) ? (column[bucket] ?? 0) + figure : figure;
    }
  }

  const newest = () => times.at(-1) ?? -Infinity;

  /** The index of the bucket of a time, which is added if it is missing. */
  function bucketAt(time: number): number {
    const found = times.findLastIndex((other) => other <= time);
    if (times[found] === time) return found;
    times.splice(found + 1, 0, time);
    for (const column of columns.values()) column.splice(found + 1, 0, null);
    return found + 1;
  }

  function columnFor(name: string): Column | undefined {
    const known = columns.get(name);
    if (known) return known;
    if (columns.size >= MAX_COLUMNS) {
      if (leftOut.size < MAX_LEFT_OUT) leftOut.add(name);
      return undefined;
    }
    const column = new Array<null>(times.length).fill(null);
    columns.set(name, column);
    return column;
  }

  function evict() {
    const count = times.findIndex((time) => time > newest() - kept);
    if (count < SPARE) return;
    times.splice(0, count);
    gaps = gaps.filter((time) => time >= (times[0] ?? 0));
    for (const [name, column] of columns) {
      column.splice(0, count);
      if (column.some((value) => value !== null)) continue;
      columns.delete(name);
      leftOut.clear(); // they are counted again if they still arrive
    }
  }

  return {
    onEntry,
    read: (state) => ({
      ...state,
      newestAt,
      names: [...columns.keys()],
      data: [[...times], ...Array.from(columns.values(), (column) => [...column])],
      gaps: [...gaps],
      isCut: false,
      leftOut: leftOut.size,
    }),
  };
}
