import type { Entry } from '../entry.js';
import { parse, type StandardSchemaV1 } from './schema.js';
import type { Collector } from './view.js';

/** Columns for a chart of values over time, in the form that uPlot takes. */
export interface Series {
  /** The names of the columns after the first, in the order in which they were first seen. */
  readonly names: readonly string[];
  /** The times in seconds since the epoch, then a column of values for each name; `null` if there is none, as at a gap. */
  readonly data: readonly [xs: readonly number[], ...ys: (readonly (number | null)[])[]];
  /** When gaps were announced, in seconds since the epoch. */
  readonly gaps: readonly number[];
  /** Whether points of the window were evicted: the series then begins later than the window. */
  readonly isCut: boolean;
  /** At least how many names have no column, because there were too many. */
  readonly leftOut: number;
}

/** Returns the values to draw of an event: one, or several by name; `undefined` for none. */
export type Select<T> = (value: T) => number | Readonly<Record<string, number>> | undefined;

export interface SeriesOptions<T> {
  /** How far back to keep points, in milliseconds before the newest. Default 5 minutes. */
  readonly window?: number | undefined;
  /** How many points to keep at most. Default 3600. */
  readonly points?: number | undefined;
  /** When the value was measured, in milliseconds since the epoch. Default: its arrival. */
  readonly at?: ((value: T) => number | undefined) | undefined;
  readonly schema?: StandardSchemaV1<unknown, T> | undefined;
}

/** The name of the column if `select` returns a number. */
const ONLY = 'value';

/** A publisher can use ids as names. */
const MAX_COLUMNS = 64;
const MAX_LEFT_OUT = 1_000;

/** Collects numbers into columns. An event costs one push for each column; old points leave in bulk. */
export function collectSeries<T>(
  select: Select<T>,
  { window = 300_000, points = 3_600, at, schema }: SeriesOptions<T>,
): Collector<Series> {
  const xs: number[] = [];
  const columns = new Map<string, (number | null)[]>();
  const leftOut = new Set<string>();
  let lastEvicted = -Infinity;
  let gaps: number[] = [];

  function onEntry(entry: Entry) {
    if (entry.kind === 'gap') {
      gaps.push(entry.receivedAt / 1_000);
      addRow(entry.receivedAt, {});
      return;
    }
    const { value } = parse(entry.data, schema);
    const selected = value === undefined ? undefined : select(value);
    if (value === undefined || selected === undefined) return;
    const row = typeof selected === 'number' ? { [ONLY]: selected } : selected;
    // A time in the future would apply to all points after it.
    addRow(Math.min(at?.(value) ?? Infinity, entry.receivedAt), row);
  }

  function addRow(time: number, row: Readonly<Record<string, number>>) {
    // A chart's times must not decrease; those of clocks and publishers sometimes do.
    xs.push(Math.max(time / 1_000, xs.at(-1) ?? -Infinity));
    for (const name of Object.keys(row)) addColumn(name);
    for (const [name, ys] of columns) ys.push(row[name] ?? null);
    // To move everything for each point would cost `points` steps; once per `points` points costs one.
    if (xs.length >= 2 * points) evict(xs.length - points);
  }

  function addColumn(name: string) {
    if (columns.has(name)) return;
    if (columns.size < MAX_COLUMNS) {
      columns.set(name, new Array<null>(xs.length - 1).fill(null));
    } else if (leftOut.size < MAX_LEFT_OUT) {
      leftOut.add(name);
    }
  }

  function evict(count: number) {
    lastEvicted = xs[count - 1] ?? lastEvicted;
    xs.splice(0, count);
    for (const ys of columns.values()) ys.splice(0, count);
    const oldest = xs[0] ?? 0;
    gaps = gaps.filter((time) => time >= oldest);
  }

  function read(): Series {
    const start = (xs.at(-1) ?? 0) - window / 1_000;
    const begin = Math.max(xs.length - points, firstAfter(xs, start));
    const oldest = xs[begin] ?? 0;
    dropColumns(begin);
    return {
      names: [...columns.keys()],
      data: [xs.slice(begin), ...[...columns.values()].map((ys) => ys.slice(begin))],
      gaps: gaps.filter((time) => time >= oldest),
      isCut: (xs[begin - 1] ?? lastEvicted) >= start,
      leftOut: leftOut.size,
    };
  }

  /** Drops the columns without a value since the row, to make room for other names. */
  function dropColumns(begin: number) {
    for (const [name, ys] of columns) {
      if (ys.findLastIndex((y) => y !== null) >= begin) continue;
      columns.delete(name);
      leftOut.clear(); // they are counted again if they still arrive
    }
  }

  return { onEntry, read };
}

/** The index of the first number that is not below the bound; the numbers increase. */
function firstAfter(rising: readonly number[], bound: number): number {
  let low = 0;
  let high = rising.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((rising[middle] ?? Infinity) < bound) low = middle + 1;
    else high = middle;
  }
  return low;
}
