import type { Series } from '@sluice/client';

/** How much of the time shown the series covers, in seconds: less than `span` where points had to be let go. */
export function coveredOf({ data: [times], isCut }: Series, span: number): number {
  const covered = (times.at(-1) ?? 0) - (times[0] ?? 0);
  return isCut ? Math.min(covered, span) : span;
}
