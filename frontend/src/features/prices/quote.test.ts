import { describe, expect, it } from 'vitest';
import type { GapEntry, MessageEntry } from '@sluice/client';
import { newSubscription as state } from '../../../test/subscription-state';
import { changeOf, collectQuotes, nextQuote, type Quote } from './quote';

const event = (data: string, more: Partial<MessageEntry> = {}): MessageEntry => ({
  ...{ kind: 'message', seq: 1, topic: 'key:price:A', id: '', type: 'message', receivedAt: 1 },
  ...{ data, ...more },
});

const deleted = event('null', { type: 'key.deleted', receivedAt: 9 });

function follow(...events: (string | MessageEntry)[]): Quote {
  const quote = events.reduce<Quote | undefined>(
    (before, next) => nextQuote(before, typeof next === 'string' ? event(next) : next),
    undefined,
  );
  if (!quote) throw new Error('no events');
  return quote;
}

describe('a quote', () => {
  it('begins with its first price, without a direction', () => {
    expect(follow('100')).toMatchObject({
      price: 100,
      opened: 100,
      direction: undefined,
      history: [100],
    });
    expect(changeOf(follow('100'))).toBe(0);
  });

  it('says which way the price went last, and how far since it was opened', () => {
    const quote = follow('100', '120', '110');
    expect(quote).toMatchObject({
      price: 110,
      direction: 'down',
      changes: 3,
      history: [100, 120, 110],
    });
    expect(changeOf(quote)).toBeCloseTo(0.1);
  });

  it('does not change by the same price again', () => {
    expect(follow('100', '120', '120')).toEqual(follow('100', '120'));
  });

  it('keeps as many decimals as were written', () => {
    expect(follow('1.25', '1.5', '2').decimals).toBe(2);
    expect(follow('1e-3').decimals).toBe(0);
  });

  it('keeps a bounded history', () => {
    const { history } = follow(...Array.from({ length: 100 }, (_, n) => String(n)));
    expect(history).toHaveLength(60);
    expect(history.at(-1)).toBe(99);
  });

  it('is marked as deleted with its key, keeps its last price, and returns with the key', () => {
    const gone = follow('100', '120', deleted);
    expect(gone).toMatchObject({ state: 'gone', price: 120, direction: undefined });
    expect(follow('100', '120', deleted, '130')).toMatchObject({
      state: 'there',
      direction: 'up',
      opened: 100,
    });
    expect(follow(deleted)).toMatchObject({ state: 'gone', price: undefined });
  });

  it('reads objects with a number under a usual name, hashes included', () => {
    const quote = follow('{"price":"12.50","volume":300,"venue":"X"}');
    expect(quote).toMatchObject({ price: 12.5, decimals: 2, detail: 'volume=300 venue=X' });
  });

  it('keeps the numbers of other fields as they were written', () => {
    expect(follow('{"price":1,"id":9007199254740993}').detail).toBe('id=9007199254740993');
  });

  it('shows anything else as it is', () => {
    expect(follow('[1,2]')).toMatchObject({ price: undefined, detail: '[1,2]' });
    expect(follow('{"a":{"b":1}}')).toMatchObject({ price: undefined, detail: 'a={"b":1}' });
    expect(follow('')).toMatchObject({ price: undefined, detail: '' });
    expect(follow(event('{"type":"stream"}', { type: 'key.unsupported' }))).toMatchObject({
      state: 'unsupported',
    });
  });
});

const gap = (topic: string): GapEntry => ({
  ...{ kind: 'gap', seq: 1, id: '', topic, reason: 'unknown-cursor', lost: null, receivedAt: 1 },
});

describe('the quotes of all keys', () => {
  it('are sorted by name only when a key is added or removed', () => {
    const quotes = collectQuotes();
    for (const n of [10, 9, 1]) quotes.onEntry(event('1', { topic: `key:price:${n}` }));
    const before = quotes.read(state);
    expect(before.topics).toEqual(['key:price:1', 'key:price:9', 'key:price:10']);
    quotes.onEntry(event('3', { topic: 'key:price:9' }));
    const after = quotes.read(state);
    expect(after.topics).toBe(before.topics);
    expect(after.byTopic.get('key:price:9')?.price).toBe(3);
    quotes.onEntry(event('1', { topic: 'key:price:2' }));
    expect(quotes.read(state).topics).toHaveLength(4);
  });

  it('are unknown after a gap of their topic, until they arrive again', () => {
    const quotes = collectQuotes();
    for (const topic of ['key:price:A', 'key:price:B', 'key:other:C']) {
      quotes.onEntry(event('1', { topic }));
    }
    quotes.onEntry(gap('key:price:*'));
    quotes.onEntry(event('2', { topic: 'key:price:B' }));
    const { byTopic } = quotes.read(state);
    expect(Array.from(byTopic.values(), ({ state }) => state)).toEqual([
      'unknown',
      'there',
      'there',
    ]);
    expect(byTopic.get('key:price:B')?.history).toEqual([1, 2]);
  });

  it('are bounded for keys that are not there any more', () => {
    const quotes = collectQuotes();
    quotes.onEntry(event('1', { topic: 'key:price:stays' }));
    for (let n = 0; n < 1_000; n++) {
      quotes.onEntry(event('1', { topic: `key:price:${n}` }));
      quotes.onEntry({ ...deleted, topic: `key:price:${n}` });
    }
    const { topics } = quotes.read(state);
    expect(topics).toHaveLength(301);
    expect(topics).toContain('key:price:999');
    expect(topics).toContain('key:price:stays');
  });

  it('are bounded for keys that went during gaps', () => {
    const quotes = collectQuotes();
    for (let n = 0; n < 1_000; n++) {
      quotes.onEntry(event('1', { topic: `key:price:${n}` }));
    }
    quotes.onEntry(gap('key:price:*'));
    expect(quotes.read(state).topics).toHaveLength(1_000);
    quotes.onEntry(gap('key:price:*'));
    expect(quotes.read(state).topics).toHaveLength(300);
  });
});
