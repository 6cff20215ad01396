import { describe, expect, it } from 'vitest';
import { createHistory, type History, type Item } from './history.js';

const item = (number: number, { era = '1', data = 'x', origin = 'channel:a' } = {}): Item => ({
  frame: { kind: 'message', id: '', type: 'message', data },
  origin,
  era,
  number,
  receivedAt: 0,
});

const gap: Item['frame'] = { kind: 'gap', id: '', topic: 'key:*', reason: 'unknown', lost: null };

const deleted = (number: number): Item => ({
  ...item(number, { origin: `key:${number}` }),
  frame: { kind: 'message', id: '', type: 'key.deleted', data: 'null' },
});

const numbers = (items: readonly Item[] | undefined) => items?.map(({ number }) => number);

function fill(history: History, first: number, last: number) {
  for (let n = first; n <= last; n++) history.push(item(n));
}

const createTail = (depth: number | undefined) =>
  createHistory('channel:a', '', { era: '1', number: 0 }, depth);

describe('a tail', () => {
  it('returns the items after a position that it has had', () => {
    const tail = createTail(0);
    fill(tail, 1, 5);
    expect(numbers(tail.since({ era: '1', number: 0 }))).toEqual([1, 2, 3, 4, 5]);
    expect(numbers(tail.since({ era: '1', number: 3 }))).toEqual([4, 5]);
    expect(tail.since({ era: '1', number: 9 })).toBeUndefined();
    expect(tail.since({ era: '0', number: 9 })).toBeUndefined();
    expect(tail.since({ era: '2', number: 3 })).toBeUndefined();
  });

  it('finds an offset of an era before a gap', () => {
    const tail = createTail(0);
    fill(tail, 1, 2);
    tail.push({ ...item(3, { era: '2' }), frame: gap });
    tail.push(item(4, { era: '2' }));
    expect(numbers(tail.since({ era: '1', number: 1 }))).toEqual([2, 3, 4]);
    expect(tail.since({ era: '1', number: 3 })).toBeUndefined();
    expect(numbers(tail.since({ era: '2', number: 3 }))).toEqual([4]);
  });

  it('does not claim to know evicted items', () => {
    const tail = createTail(0);
    fill(tail, 1, 5_000);
    const oldest = 5_000 - 4_096 + 1;
    expect(tail.since({ era: '1', number: oldest - 2 })).toBeUndefined();
    expect(tail.since({ era: '1', number: oldest - 1 })).toHaveLength(4_096);
    expect(tail.newest(4_096)).toHaveLength(4_096);
    expect(tail.newest(4_097)).toBeUndefined();
  });

  it('lets go of old items where they are large', () => {
    const tail = createTail(0);
    for (let n = 1; n <= 10; n++) tail.push(item(n, { data: 'x'.repeat(1024 * 1024) }));
    expect(numbers(tail.newest(4))).toEqual([7, 8, 9, 10]);
    expect(tail.newest(5)).toBeUndefined();
  });

  it('has all of the past that it began with', () => {
    const tail = createTail(10);
    fill(tail, 1, 3);
    expect(numbers(tail.newest(10))).toEqual([1, 2, 3]);
    expect(numbers(tail.newest(0))).toEqual([]);
    expect(tail.newest(11)).toBeUndefined();
  });
});

describe('values', () => {
  it('are the newest of each name, in the order of their changes', () => {
    const values = createHistory('key:*', '', { era: '1', number: 0 }, 0);
    values.push(item(1, { origin: 'key:a' }));
    values.push(item(2, { origin: 'key:b' }));
    values.push(item(3, { origin: 'key:a' }));
    expect(numbers(values.newest(0))).toEqual([2, 3]);
    expect(numbers(values.since({ era: '1', number: 2 }))).toEqual([3]);
    expect(values.since({ era: '7', number: 2 })).toBeUndefined();
  });

  it('are not all of them where the beginning was elsewhere', () => {
    const values = createHistory('key:*', '', { era: '5', number: 0 }, undefined);
    values.push(item(1, { era: '5', origin: 'key:a' }));
    expect(values.newest(0)).toBeUndefined();
    expect(values.since({ era: '1', number: 2 })).toBeUndefined();
    expect(numbers(values.since({ era: '5', number: 0 }))).toEqual([1]);
  });

  it('are sent again after a gap, and the others are deleted', () => {
    const values = createHistory('key:*', '', { era: '1', number: 0 }, 0);
    values.push(item(1, { origin: 'key:a' }));
    values.push(item(2, { origin: 'key:b' }));
    values.push({ ...item(3), frame: gap });
    values.push(item(4, { origin: 'key:b' }));
    expect(numbers(values.newest(0))).toEqual([4]);
    expect(numbers(values.since({ era: '1', number: 2 }))).toEqual([3, 4]);
  });

  it('keep a bounded number of deleted ones, for tabs that still show them', () => {
    const values = createHistory('key:*', '', { era: '1', number: 0 }, 0);
    for (let n = 1; n <= 1_001; n++) values.push(deleted(n));
    expect(values.since({ era: '1', number: 0 })).toBeUndefined();
    expect(values.since({ era: '1', number: 1 })).toHaveLength(1_000);
  });

  it('that were events are the past, which has to be asked for', () => {
    const values = createHistory('channel:a', '1s', { era: '1', number: 0 }, 1);
    values.push(item(1));
    expect(values.newest(0)).toEqual([]);
    expect(numbers(values.newest(1))).toEqual([1]);
    expect(values.newest(2)).toBeUndefined();
  });
});
