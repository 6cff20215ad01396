import { describe, expect, it } from 'vitest';
import { summarise, trend } from './series-summary';

const times = [1, 2, 3, 4, 5];

describe('summarise', () => {
  it('sums up the values between two times', () => {
    expect(summarise(times, [9, 2, 4, 6, 9], 2, 5)).toEqual({
      ...{ count: 3, latest: 6, min: 2, max: 6, mean: 4, sum: 12 },
    });
  });

  it('leaves out where the line is broken', () => {
    expect(summarise(times, [1, null, 3, NaN, undefined], 0)).toMatchObject({
      count: 2,
      latest: 3,
    });
  });

  it('has nothing to say of no values', () => {
    expect(summarise(times, [null, null, null, null, null], 0)).toBeUndefined();
    expect(summarise(times, [1, 2, 3, 4, 5], 6)).toBeUndefined();
  });
});

it('a trend is the change as a share of the earlier value', () => {
  expect(trend(50, 60)).toBeCloseTo(0.2);
  expect(trend(-50, -60)).toBeCloseTo(-0.2);
  expect(trend(0, 5)).toBeUndefined();
  expect(trend(undefined, 5)).toBeUndefined();
});
