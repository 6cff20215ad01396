import { expect, it } from 'vitest';
import { newestRows } from './time-table';

it('gives the newest rows first, and no more than asked for', () => {
  const rows = newestRows(
    [
      [1, 2, 3],
      [10, 20, 30],
      [null, NaN, 300],
    ],
    [],
    2,
  );
  expect(rows).toEqual([
    { time: 3, values: [30, 300], isGap: false },
    { time: 2, values: [20, undefined], isGap: false },
  ]);
});

it('shows where a gap is, and leaves out the times of other charts', () => {
  const rows = newestRows(
    [
      [1, 2, 3, 4],
      [10, null, null, 40],
    ],
    [3],
    10,
  );
  expect(rows.map(({ time, isGap }) => [time, isGap])).toEqual([
    [4, false],
    [3, true],
    [1, false],
  ]);
});
