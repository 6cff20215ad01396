import { expect, it } from 'vitest';
import { parseLast } from './query-last';

it.each([
  ['', 20],
  ['last=5', 5],
  ['last=0', 0],
  ['last=', 0],
  ['last=abc', 20],
  ['last=-1', 20],
  ['last=1.5', 20],
  ['last=99999', 1_000],
])('of %j it is %d', (query, last) => {
  expect(parseLast(new URLSearchParams(query), 20)).toBe(last);
});
