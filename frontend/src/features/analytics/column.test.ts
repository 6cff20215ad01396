import { expect, it } from 'vitest';
import { columnOf } from './column';

it('is not broken by messages that hold other figures, but by gaps', () => {
  const series = {
    ...{ names: ['a', 'b'], isCut: false, leftOut: 0, gaps: [4] },
    data: [
      [1, 2, 3, 4, 5],
      [10, null, 30, null, 50],
      [null, 20, null, null, null],
    ] as [number[], ...(number | null)[][]],
  };
  expect(columnOf(series, 0)).toEqual([
    [1, 3, 4, 5],
    [10, 30, null, 50],
  ]);
  expect(columnOf(series, 1)).toEqual([
    [2, 4],
    [20, null],
  ]);
});
