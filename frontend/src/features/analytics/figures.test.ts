import { describe, expect, it } from 'vitest';
import { figuresOf, isCount, sortColumns } from './figures';

describe('figuresOf', () => {
  it('finds the numbers of a message, and those one level below', () => {
    const figures = figuresOf({
      ...{ time: '2026-01-01T00:00:00Z', views: 9, note: 'x', ok: true, none: null },
      by_page: { '/': 5, '/a.b': 4, deep: { er: 1 } },
    });
    expect(sortColumns(Object.keys(figures ?? {}))).toEqual({
      figures: [{ field: 'views', column: 0 }],
      breakdowns: [
        {
          field: 'by_page',
          parts: [
            { name: '/', column: 1 },
            { name: '/a.b', column: 2 },
          ],
        },
      ],
    });
    expect(Object.values(figures ?? {})).toEqual([9, 5, 4]);
  });

  it('leaves out ids and times, which do not add up', () => {
    const figures = figuresOf({
      ...{ id: 7, user_id: 1e6, orderId: '12', created_at: 1.7e9, ts: 1.7e12, end_time: 1.7e9 },
      ...{ response_time: 120, paid: 3, user: { id: 9, age: 40 }, by_country: { AT: 2, id: 1 } },
    });
    expect(Object.values(figures ?? {})).toEqual([120, 3, 40, 2, 1]);
  });

  it('reads numbers that are written as text, such as fields of a stream', () => {
    expect(figuresOf({ a: '12.5', b: ' ', c: '12 apples', d: '' })).toEqual({ a: 12.5 });
  });

  it('reads a bare number', () => {
    expect(figuresOf(42)).toEqual({ value: 42 });
  });

  it.each([null, 'text', true, {}, { a: 'b' }, [], { time: 5 }])('finds none in %j', (message) => {
    expect(figuresOf(message)).toBeUndefined();
  });

  it('reads at most as many figures as can be charted', () => {
    const many = Object.fromEntries(Array.from({ length: 5_000 }, (_, n) => [`f${n}`, n]));
    expect(Object.keys(figuresOf(many) ?? {})).toHaveLength(100);
  });
});

it.each([
  ['page_views', true],
  ['requests', true],
  ['signups', true],
  ['active_users', false],
  ['conversion_percent', false],
  ['reviewscore', false],
])('whether %s adds up: %s', (field, counted) => {
  expect(isCount(field)).toBe(counted);
});
