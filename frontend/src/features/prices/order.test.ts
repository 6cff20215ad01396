import { expect, it } from 'vitest';
import { nextOrder, sortQuotes } from './order';
import type { Quote } from './quote';

const quote = (topic: string, price?: number, opened = 100) => ({ topic, price, opened }) as Quote;

const quotes = [quote('k:10', 120), quote('k:9', 90), quote('k:2'), quote('k:1', 105, 50)];

it.each([
  ['name', false, ['k:1', 'k:2', 'k:9', 'k:10']],
  ['name', true, ['k:10', 'k:9', 'k:2', 'k:1']],
  ['price', true, ['k:10', 'k:1', 'k:9', 'k:2']],
  ['price', false, ['k:9', 'k:1', 'k:10', 'k:2']],
  ['change', true, ['k:1', 'k:10', 'k:9', 'k:2']],
] as const)('by %s, descending %s', (column, descending, expected) => {
  expect(sortQuotes(quotes, { column, descending }).map(({ topic }) => topic)).toEqual(expected);
});

it('a click turns the order round, or begins another with the largest', () => {
  const byName = { column: 'name', descending: false } as const;
  expect(nextOrder(byName, 'name')).toEqual({ column: 'name', descending: true });
  expect(nextOrder(byName, 'price')).toEqual({ column: 'price', descending: true });
  expect(nextOrder({ column: 'price', descending: true }, 'name')).toEqual(byName);
});
