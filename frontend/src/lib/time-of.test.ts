import { expect, it } from 'vitest';
import { timeOf } from './time-of';

it('the time of a message is its own, if it has one', () => {
  expect(timeOf({ time: '2026-01-01T00:00:00.500Z' })).toBe(Date.UTC(2026, 0, 1, 0, 0, 0, 500));
  for (const message of [{ time: 'soon' }, { time: 5 }, {}, null, 7]) {
    expect(timeOf(message)).toBeUndefined();
  }
});
