import { describe, expect, it } from 'vitest';
import { type Place, placeAt, planOpening, type Wish } from './opening';

const place = (id: string, ...covers: string[]): Place => ({ id, covers });
const fresh = (topic: string, last = 0): Wish => ({ topic, last, place: undefined });
const at = (topic: string, place: Place): Wish => ({ topic, last: 0, place });

describe('planOpening', () => {
  it('asks for all fresh topics at once where they want the same of the past', () => {
    expect(planOpening([fresh('channel:a', 5), fresh('stream:b', 5)])).toEqual({
      topics: ['channel:a', 'stream:b'],
      last: 5,
      ids: [],
    });
  });

  it('leaves for the next request what wants more of the past, or less', () => {
    expect(planOpening([fresh('channel:a'), fresh('stream:b', 9)])).toEqual({
      topics: ['channel:a'],
      last: 0,
      ids: [],
    });
  });

  it('adds fresh topics to those that go on, which share an id', () => {
    const both = place('1', 'channel:a', 'channel:b');
    expect(
      planOpening([fresh('stream:c', 9), at('channel:a', both), at('channel:b', both)]),
    ).toEqual({ topics: ['channel:a', 'channel:b', 'stream:c'], last: 9, ids: ['1'] });
  });

  it('does not begin a topic afresh that an id would put somewhere', () => {
    const both = place('1', 'channel:a', 'channel:b');
    expect(planOpening([at('channel:a', both), fresh('channel:b', 9)]).topics).toEqual([
      'channel:a',
    ]);
  });

  it('puts the id that counts for a topic behind the others that cover it', () => {
    const old = place('old', 'channel:a', 'channel:b');
    const own = place('own', 'channel:a');
    for (const wishes of [
      [at('channel:a', own), at('channel:b', old)],
      [at('channel:b', old), at('channel:a', own)],
    ]) {
      expect(planOpening(wishes).ids).toEqual(['old', 'own']);
    }
  });

  it('takes one after the other where each topic would go on from the other’s id', () => {
    const one = place('1', 'channel:a', 'channel:b');
    const two = place('2', 'channel:a', 'channel:b');
    expect(planOpening([at('channel:a', one), at('channel:b', two)])).toEqual({
      topics: ['channel:a'],
      last: 0,
      ids: ['1'],
    });
  });
});

describe('placeAt', () => {
  it('leaves an id for several topics as it is', () => {
    const topics = ['channel:a', 'channel:b'];
    expect(placeAt('channel:a@x=1,y=2', topics)).toEqual({
      id: 'channel:a@x=1,y=2',
      covers: topics,
    });
  });

  it('names the topic of a single one, the glob rather than what the event came from', () => {
    expect(placeAt('17-0', ['stream:a b']).id).toBe('stream%3Aa%20b@17-0');
    expect(placeAt('key:price:BTC@17', ['key:price:*']).id).toBe('key%3Aprice%3A*@17');
  });
});
