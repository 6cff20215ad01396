/** Values over time; `null` or `NaN` where a line breaks. */
export type Column = ArrayLike<number | null | undefined>;

/** Times in seconds since the epoch, then a column for each line. */
export type Columns = readonly [times: readonly number[], ...lines: Column[]];

/** The figures of a line over a time. */
export interface SeriesSummary {
  readonly count: number;
  readonly latest: number;
  readonly min: number;
  readonly max: number;
  readonly mean: number;
  readonly sum: number;
}

/** Sums up the values at times from `from` up to but not including `to`; `undefined` without values. */
export function summarise(
  times: ArrayLike<number>,
  values: Column,
  from: number,
  to = Infinity,
): SeriesSummary | undefined {
  let [count, sum, min, max] = [0, 0, Infinity, -Infinity];
  let latest: number | undefined;
  for (let n = times.length - 1; n >= 0; n--) {
    const time = times[n] ?? 0;
    const value = values[n];
    if (time < from) break;
    if (time >= to || !isValue(value)) continue;
    latest ??= value;
    count += 1;
    sum += value;
    min = Math.min(min, value);
    max = Math.max(max, value);
  }
  if (latest === undefined) return undefined;
  return { count, latest, min, max, mean: sum / count, sum };
}

/** Where a line breaks there is `null`, or `NaN` in columns that hold nothing but numbers. */
export function isValue(value: number | null | undefined): value is number {
  return typeof value === 'number' && !Number.isNaN(value);
}

/** How much a figure has changed, as a share of what it was; `undefined` where that cannot be said. */
export function trend(before: number | undefined, now: number | undefined): number | undefined {
  if (before === undefined || now === undefined || before === 0) return undefined;
  return (now - before) / Math.abs(before);
}
