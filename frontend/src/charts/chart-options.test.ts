import { expect, it, vi } from 'vitest';
import { lonely, yRange } from './chart-options';

// The chart library needs a browser when it is imported.
vi.mock('uplot', () => ({ default: {} }));

it.each([
  [100, 200, undefined, 0, 230],
  [-18, -16, undefined, -20.7, 0],
  [-10, 20, undefined, -11.5, 23],
  [40, 60, 100, 0, 100],
  [0, 0, undefined, 0, 1],
  [null, null, undefined, 0, 1],
])('the range of %d to %d (max %s) is %d to %d', (low, high, max, bottom, top) => {
  const [from, to] = yRange(low, high, max);
  expect(from).toBeCloseTo(bottom);
  expect(to).toBeCloseTo(top);
});

it('finds the values that have no neighbour to draw a line to', () => {
  expect(lonely([1, null, 2, 3, null, NaN, 4, null])).toEqual([0, 6]);
  expect(lonely([null])).toEqual([]);
});
