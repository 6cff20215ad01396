import { type Columns, isValue } from './series-summary';

/** The newest rows of a chart's columns that say something, newest first; in a row, a line without a value has `undefined`. */
export function newestRows([times, ...columns]: Columns, gaps: readonly number[], limit: number) {
  const gapTimes = new Set(gaps);
  return times
    .map((time, n) => {
      const values = columns.map((column) => (isValue(column[n]) ? column[n] : undefined));
      return { time, values, isGap: values.every((value) => value === undefined) };
    })
    .filter(({ time, isGap }) => !isGap || gapTimes.has(time))
    .slice(-limit)
    .reverse();
}
