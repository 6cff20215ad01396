import { describe, expect, it } from 'vitest';
import { backoff } from './backoff.js';

const least = () => 0;
const most = () => 0.999_999;

describe('backoff', () => {
  it.each([
    [1, 1_000, 2_000],
    [2, 2_000, 4_000],
    [3, 4_000, 8_000],
    [5, 15_000, 30_000],
    [1_000, 15_000, 30_000],
    [Infinity, 15_000, 30_000],
  ])('after %d failures lies between %d and %d ms', (failures, from, to) => {
    expect(backoff(failures, { random: least })).toBe(from);
    expect(backoff(failures, { random: most })).toBeCloseTo(to, -1);
  });

  it('accepts other bounds', () => {
    expect(backoff(1, { base: 10, max: 40, random: least })).toBe(10);
    expect(backoff(9, { base: 10, max: 40, random: most })).toBeCloseTo(40, 3);
  });
});
