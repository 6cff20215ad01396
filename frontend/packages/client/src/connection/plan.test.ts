import { describe, expect, it } from 'vitest';
import { type Cursor, cursorFrom, planRequest, type Start, urlOf } from './plan.js';

const cursor = (id: string, ...covers: string[]): Cursor => ({ id, covers });
const fresh = (topic: string, last = 0): Start => ({ topic, last, cursor: undefined });
const at = (topic: string, cursor: Cursor): Start => ({ topic, last: 0, cursor });
const plan = (starts: Start[]) => planRequest(starts, ({ ids }) => ids.join().length);

describe('planRequest', () => {
  it('asks for all fresh topics at once where they want the same of the past', () => {
    expect(plan([fresh('channel:a', 5), fresh('stream:b', 5)])).toEqual({
      topics: ['channel:a', 'stream:b'],
      last: 5,
      ids: [],
    });
  });

  it('asks for the most recent events that any topic asks for', () => {
    expect(plan([fresh('channel:a', 5), fresh('stream:b', 9)])).toMatchObject({ last: 9 });
  });

  it('leaves the ids that make the URL too long to the next request', () => {
    const long = at('channel:a', cursor('1'.repeat(2_500), 'channel:a'));
    const other = at('channel:b', cursor('2'.repeat(2_500), 'channel:b'));
    expect(plan([long, other]).topics).toEqual(['channel:a']);
  });

  it('asks for the default topics first, and alone', () => {
    expect(plan([fresh('channel:a'), fresh('')]).topics).toEqual(['']);
  });

  it('leaves topics that want recent events to the next request if another wants none', () => {
    expect(plan([fresh('channel:a'), fresh('stream:b', 9)])).toEqual({
      topics: ['channel:a'],
      last: 0,
      ids: [],
    });
  });

  it('starts streams with their first entry beside topics without a past', () => {
    const run = fresh('stream:run:1', Infinity);
    const both = plan([fresh('key:latest'), run]);
    expect(both).toEqual({ topics: ['key:latest', 'stream:run:1'], last: Infinity, ids: [] });
    expect(urlOf('/events', both, {})).toBe('/events?key=latest&stream=run:1&from=start');
  });

  it.each([fresh('stream:logs'), fresh('channel:a', 9)])(
    'does not start $topic with its first entry because of another topic',
    (other) => {
      const run = fresh('stream:run:1', Infinity);
      expect(plan([other, run]).topics).toEqual([other.topic]);
    },
  );

  it('adds fresh topics to those that resume from a shared id', () => {
    const both = cursor('1', 'channel:a', 'channel:b');
    expect(plan([fresh('stream:c', 9), at('channel:a', both), at('channel:b', both)])).toEqual({
      topics: ['channel:a', 'channel:b', 'stream:c'],
      last: 9,
      ids: ['1'],
    });
  });

  it('does not begin a topic afresh that an id would put somewhere', () => {
    const both = cursor('1', 'channel:a', 'channel:b');
    expect(plan([at('channel:a', both), fresh('channel:b', 9)]).topics).toEqual(['channel:a']);
  });

  it('puts the id that counts for a topic behind the others that cover it', () => {
    const old = cursor('old', 'channel:a', 'channel:b');
    const own = cursor('own', 'channel:a');
    for (const wishes of [
      [at('channel:a', own), at('channel:b', old)],
      [at('channel:b', old), at('channel:a', own)],
    ]) {
      expect(plan(wishes).ids).toEqual(['old', 'own']);
    }
  });

  it('plans one topic after the other if each would resume from the id of the other', () => {
    const one = cursor('1', 'channel:a', 'channel:b');
    const two = cursor('2', 'channel:a', 'channel:b');
    expect(plan([at('channel:a', one), at('channel:b', two)])).toEqual({
      topics: ['channel:a'],
      last: 0,
      ids: ['1'],
    });
  });
});

describe('cursorFrom', () => {
  it('leaves an id for several topics as it is', () => {
    const topics = ['channel:a', 'channel:b'];
    expect(cursorFrom('channel:a@x=1,y=2', topics)).toEqual({
      id: 'channel:a@x=1,y=2',
      covers: topics,
    });
  });

  it('puts the topic before the cursor of a single topic: the glob, not the origin of the event', () => {
    expect(cursorFrom('17-0', ['stream:a b']).id).toBe('stream:a%20b@17-0');
    expect(cursorFrom('key:price:BTC@17', ['key:price:*']).id).toBe('key:price:*@17');
  });
});
