import { expect, it } from 'vitest';
import type { Entry } from '../entry.js';
import { newSubscription as state } from '../../../../test/subscription-state';
import { collectEntries } from './entries.js';
import { collectRun, type ReduceRun } from './run.js';

const message = (data: string): Entry => ({
  ...{ kind: 'message', id: '', type: 'message', topic: 'channel:a', seq: 1, receivedAt: 1, data },
});

const large = 'x'.repeat(200_000);

function reload(...data: string[]) {
  const before = collectEntries({});
  for (const it of data) before.onEntry(message(it));
  const after = collectEntries({});
  after.restore?.(JSON.parse(JSON.stringify(before.save?.())));
  return after;
}

it('keeps the small messages of a reload, and counts the others', () => {
  const { entries, received, dropped } = reload('1', '2', large, '3', large, '4', '5').read(state);
  const kept = entries.map((entry) => (entry.kind === 'message' ? entry.data : ''));
  expect(kept).toEqual(['1', '2', '3', large, '4', '5']);
  expect({ received, dropped }).toEqual({ received: 7, dropped: 1 });
});

it('counts all that is not kept over several reloads', () => {
  const once = reload(...Array.from({ length: 250 }, (_, n) => String(n)));
  once.onEntry(message('more'));
  expect(once.read(state)).toMatchObject({ received: 251, dropped: 51, entries: { length: 200 } });
  const twice = collectEntries({});
  twice.restore?.(once.save?.());
  expect(twice.read(state)).toMatchObject({ received: 251, dropped: 51, entries: { length: 200 } });
});

it('keeps nothing of a reload that fails', () => {
  const collector = collectEntries({});
  const saved = { entries: [message('1'), null], received: 2, missed: 0, dropped: 0 };
  expect(() => collector.restore?.(saved)).toThrow();
  expect(collector.read(state)).toMatchObject({ entries: [], received: 0, invalid: 0 });
});

it('keeps nothing of a reload of a run that its reducer cannot read', () => {
  const sum: ReduceRun<number> = (value = 0, { data }) => value + (JSON.parse(data) as number);
  const { restore, read } = collectRun('stream:a', sum);
  const chunk = (data: string) => ({ id: data, type: 'message', data });
  const record = { hasBegun: true, isBroken: false };
  expect(() => restore?.({ record, chunks: [chunk('1'), chunk('x')] })).toThrow();
  expect(read(state)).toMatchObject({ status: 'waiting', chunks: [], value: undefined });
});
