import type { Series } from '@sluice/client';

/** The properties of a part of the screen, which shows the newest `span` seconds of a series. */
export type Part<T> = T & { series: Series; span: number };

/**
 * The newest `span` seconds of a series of buckets of one second: the time of the first bucket, in seconds since the epoch,
 * and how many seconds the series covers, which are fewer than the span until enough time has passed.
 */
export function windowOf({ data: [times] }: Series, span: number) {
  const end = Math.floor(times.at(-1) ?? 0);
  const first = Math.floor(times[0] ?? end);
  return { from: end - span + 1, covered: Math.min(end - first + 1, span) };
}
