import { describe, expect, it } from 'vitest';
import { createHistory, haveSameValues, type History, type Item, type Values } from './history.js';

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

describe('values of two channels', () => {
  /** Values as texts of the form `key=value@time`, the newest last. */
  const values = (since: number, ...texts: string[]): Values => {
    const items = texts.map((text, number) => {
      const [origin = '', data = '', time] = text.split(/[=@]/);
      return { ...item(number, { origin, data }), receivedAt: Number(time) };
    });
    const newest = items.at(-1);
    return { since, newest, items: new Map(items.map((it) => [it.origin, it])) };
  };
  const target = values(0, 'a=1@10', 'b=1@50');

  it.each([
    ['are equal', values(20, 'a=1@30', 'b=1@51'), true],
    ['differ', values(20, 'a=2@30', 'b=1@51'), false],
    ['have another newest one', values(20, 'b=1@30', 'a=1@51'), false],
    ['leave out a key that has not changed since the start', values(20, 'b=1@51'), true],
    ['leave out a key that has changed since the start', values(5, 'b=1@51'), false],
    ['have another key that changed before', values(20, 'c=1@49', 'b=1@51'), true],
    ['have another key that has changed just now', values(20, 'c=1@50', 'b=1@51'), false],
    ['are none', values(20), false],
  ])('that %s', (_, source, expected) => {
    expect(haveSameValues(source, target)).toBe(expected);
  });

  it('are not known for channels', () => {
    expect(createTail(0).values()).toBeUndefined();
    expect(haveSameValues(undefined, undefined)).toBe(false);
  });
});
