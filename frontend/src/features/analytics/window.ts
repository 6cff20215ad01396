import type { Series } from '@sluice/client';

/** The buckets of the time shown. */
export interface Window {
  /** The time of the first bucket, in seconds since the epoch. */
  readonly from: number;
  /** How many seconds the series covers of it: fewer than the span until enough time has passed. */
  readonly covered: number;
}

/** The newest `span` seconds of a series of buckets of one second. */
export function windowOf({ data: [times] }: Series, span: number): Window {
  const end = Math.floor(times.at(-1) ?? 0);
  const first = Math.floor(times[0] ?? end);
  return { from: end - span + 1, covered: Math.min(end - first + 1, span) };
}
