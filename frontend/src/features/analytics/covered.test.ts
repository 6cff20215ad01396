import { expect, it } from 'vitest';
import { coveredOf } from './covered';

const series = (isCut: boolean, ...times: number[]) => ({
  ...{ names: [], data: [times] as const, gaps: [], isCut, leftOut: 0 },
});

it('all of the time shown counts as covered, unless points were let go', () => {
  expect(coveredOf(series(false, 1_000, 1_190), 300)).toBe(300);
  expect(coveredOf(series(true, 1_000, 1_190), 300)).toBe(190);
  expect(coveredOf(series(true, 1_000, 1_900), 300)).toBe(300);
});
