import { expect, it } from 'vitest';
import { windowOf } from './window';

const series = (...times: number[]) => ({
  ...{ names: [], data: [times] as const, gaps: [], isCut: false, leftOut: 0 },
});

it('covers the time since the first bucket, up to the time shown', () => {
  expect(windowOf(series(1_000, 1_004), 300)).toEqual({ from: 705, covered: 5 });
  expect(windowOf(series(1_000, 1_900), 300)).toEqual({ from: 1_601, covered: 300 });
  expect(windowOf(series(1_000.5), 300).covered).toBe(1);
});
