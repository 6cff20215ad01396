import { type Columns, isValue } from './series-summary';

/** The values of a chart at one time. */
export interface TimeRow {
  /** Seconds since the epoch. */
  readonly time: number;
  /** A value for each line, `undefined` where it has none. */
  readonly values: readonly (number | undefined)[];
  readonly isGap: boolean;
}

/** The newest rows of a chart's columns that say something, newest first. */
export function newestRows(
  [times, ...columns]: Columns,
  gaps: readonly number[],
  limit: number,
): TimeRow[] {
  const gapTimes = new Set(gaps);
  const rows: TimeRow[] = [];
  for (let n = times.length - 1; n >= 0 && rows.length < limit; n--) {
    const time = times[n] ?? 0;
    const values = columns.map((column) => {
      const value = column[n];
      return isValue(value) ? value : undefined;
    });
    const isEmpty = values.every((value) => value === undefined);
    if (!isEmpty || gapTimes.has(time)) rows.push({ time, values, isGap: isEmpty });
  }
  return rows;
}
