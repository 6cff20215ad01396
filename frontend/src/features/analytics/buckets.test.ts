import { expect, it } from 'vitest';
import type { Entry } from '@sluice/client';
import { newSubscription } from '../../../test/subscription-state';
import { collectBuckets } from './buckets';

const message = (second: number, data: unknown): Entry => ({
  ...{ kind: 'message', id: '', type: 'message', topic: 'channel:a', seq: 1 },
  ...{ data: JSON.stringify(data), receivedAt: second * 1_000 },
});

function read(kept: number, ...entries: Entry[]) {
  const buckets = collectBuckets(kept);
  entries.forEach(buckets.onEntry);
  return buckets.read(newSubscription);
}

it('sums counts within each second, and keeps the newest of other figures', () => {
  const { names, data } = read(
    60,
    message(100.2, { clicks: 1, users: 10 }),
    message(100.9, { clicks: 2, users: 20 }),
    message(101.1, { clicks: 4, by_page: { '/': 3 } }),
    message(101.2, { by_page: { '/': 4 } }),
  );
  expect(names.slice(0, 2)).toEqual(['clicks', 'users']);
  expect(data).toEqual([
    [100, 101],
    [3, 4],
    [20, null],
    [null, 7],
  ]);
});

it('keeps the whole time at any rate of events', () => {
  const events = Array.from({ length: 40_000 }, (_, n) => message(n / 100, { clicks: 1 }));
  const [times, clicks] = read(400, ...events).data;
  expect(times).toHaveLength(400);
  expect(clicks?.every((count) => count === 100)).toBe(true);
});

it('keeps a bounded time', () => {
  const [times] = read(100, ...Array.from({ length: 500 }, (_, n) => message(n, 1))).data;
  expect(times.length).toBeLessThan(160);
  expect(times.at(-1)).toBe(499);
});

it('puts a late event where it belongs, and ignores one that is too late', () => {
  const time = (second: number) => new Date(second * 1_000).toISOString();
  const { data } = read(
    10,
    message(100, { x: 1 }),
    message(103, { x: 2 }),
    message(103, { x: 3, time: time(101) }),
    message(103, { x: 4, time: time(50) }),
    message(104, { x: 5, time: time(900) }),
  );
  expect(data).toEqual([
    [100, 101, 103, 104],
    [1, 3, 2, 5],
  ]);
});

it('breaks the lines at a gap', () => {
  const gap: Entry = {
    ...{ kind: 'gap', seq: 2, id: '', topic: 'channel:a', reason: 'slow-consumer', lost: null },
    receivedAt: 100_500,
  };
  const { data, gaps } = read(10, message(100, 1), gap, message(100.9, 3), message(101, 3));
  expect(gaps).toEqual([100.5]);
  expect(data).toEqual([
    [100, 100.5, 101],
    [3, null, 3],
  ]);
});

it('has a bounded number of columns, and drops those without values', () => {
  const row = (from: number) =>
    Object.fromEntries(Array.from({ length: 50 }, (_, n) => [`n${from + n}`, 1]));
  const early = [message(1, row(0)), message(2, row(50))];
  expect(read(100, ...early)).toMatchObject({ names: { length: 64 }, leftOut: 36 });
  const later = Array.from({ length: 200 }, (_, n) => message(100 + n, { n0: 1 }));
  expect(read(100, ...early, ...later)).toMatchObject({ names: ['n0'], leftOut: 0 });
});

it('knows when the newest message arrived, also one without figures', () => {
  expect(read(10).newestAt).toBeUndefined();
  expect(read(10, message(100, 1), message(101, 'text')).newestAt).toBe(101_000);
});
