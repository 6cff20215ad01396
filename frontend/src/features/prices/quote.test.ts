import { describe, expect, it } from 'vitest';
import type { MessageEntry } from '../../stream/entry';
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

  it('is gone with its key, keeps its last price, and comes back', () => {
    const gone = follow('100', '120', deleted);
    expect(gone).toMatchObject({ state: 'gone', price: 120, direction: undefined, at: 9 });
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

  it('shows anything else as it is', () => {
    expect(follow('[1,2]')).toMatchObject({ price: undefined, detail: '[1,2]' });
    expect(follow('{"a":{"b":1}}')).toMatchObject({ price: undefined, detail: 'a={"b":1}' });
    expect(follow('')).toMatchObject({ price: undefined, detail: '' });
    expect(follow(event('{"type":"stream"}', { type: 'key.unsupported' }))).toMatchObject({
      state: 'unsupported',
    });
  });
});

it('the quotes of all keys are the same object until one changes', () => {
  const quotes = collectQuotes();
  const state = { topics: [], refused: new Map(), status: { phase: 'closed' } } as const;
  quotes.onEntry(event('1'));
  quotes.onEntry(event('2', { topic: 'key:price:B' }));
  const before = quotes.read(state);
  expect(before.map(({ topic }) => topic)).toEqual(['key:price:A', 'key:price:B']);
  expect(quotes.read(state)).toBe(before);
  quotes.onEntry(event('3'));
  expect(quotes.read(state)).not.toBe(before);
});
