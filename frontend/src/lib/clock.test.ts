import { expect, it } from 'vitest';
import { clock, preciseClock } from './clock';

it.each([
  [new Date(2026, 0, 2, 0, 4, 5, 6), '00:04:05', '00:04:05.006'],
  [new Date(2026, 11, 31, 23, 59, 59, 999), '23:59:59', '23:59:59.999'],
])('%s is %s, and %s in full', (date, seconds, milliseconds) => {
  expect(clock(date.getTime())).toBe(seconds);
  expect(preciseClock(date.getTime())).toBe(milliseconds);
});
