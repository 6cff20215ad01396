import type { Series } from '@sluice/client';

/**
 * A column of a series by itself. Messages that hold other figures only do not break its line; gaps do.
 */
export function columnOf(
  { data, gaps }: Series,
  column: number,
): [times: number[], values: (number | null)[]] {
  const [times, ...columns] = data;
  const values = columns[column] ?? [];
  const gapTimes = new Set(gaps);
  const kept = times.flatMap((time, n) =>
    (values[n] ?? null) !== null || gapTimes.has(time) ? [n] : [],
  );
  return [kept.map((n) => times[n] ?? 0), kept.map((n) => values[n] ?? null)];
}
