import { expect, it } from 'vitest';
import { firstQuotes, nextOrder } from './order';
import type { Quote } from './quote';

const quote = (topic: string, price?: number, opened = 100) => ({ topic, price, opened }) as Quote;

const quotes = [quote('k:1', 105, 50), quote('k:2'), quote('k:9', 90), quote('k:10', 120)];

it.each([
  ['name', false, ['k:1', 'k:2', 'k:9', 'k:10']],
  ['name', true, ['k:10', 'k:9', 'k:2', 'k:1']],
  ['price', true, ['k:10', 'k:1', 'k:9', 'k:2']],
  ['price', false, ['k:9', 'k:1', 'k:10', 'k:2']],
  ['change', true, ['k:1', 'k:10', 'k:9', 'k:2']],
] as const)('by %s, descending %s', (column, descending, expected) => {
  const topics = quotes.map(({ topic }) => topic);
  const byTopic = new Map(quotes.map((quote) => [quote.topic, quote]));
  const first = (limit: number) =>
    firstQuotes(topics, byTopic, { column, descending }, limit).map(({ topic }) => topic);
  expect(first(10)).toEqual(expected);
  expect(first(2)).toEqual(expected.slice(0, 2));
});

it('a click turns the order round, or begins another with the largest', () => {
  const byName = { column: 'name', descending: false } as const;
  expect(nextOrder(byName, 'name')).toEqual({ column: 'name', descending: true });
  expect(nextOrder(byName, 'price')).toEqual({ column: 'price', descending: true });
  expect(nextOrder({ column: 'price', descending: true }, 'name')).toEqual(byName);
});
