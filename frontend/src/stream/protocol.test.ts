import { describe, expect, it } from 'vitest';
import { isGlob, readFrame, soleTopic, topicOf } from './protocol';

const wire = (type: string, data: string, lastEventId = '') => ({ type, data, lastEventId });

describe('readFrame', () => {
  it('keeps a message as it came', () => {
    expect(readFrame(wire('message', ' {"a": 1}\n', '7'))).toEqual({
      kind: 'message',
      id: '7',
      type: 'message',
      data: ' {"a": 1}\n',
    });
  });

  it('takes a name that the publisher gave for a message', () => {
    expect(readFrame(wire('order.created', '{}'))).toMatchObject({ type: 'order.created' });
    expect(readFrame(wire('constructor', '{}'))).toMatchObject({ kind: 'message' });
  });

  it('reads stream.open', () => {
    const data = '{"topics":["channel:a","channel:b"],"resumed":true,"node":"n1"}';
    expect(readFrame(wire('stream.open', data))).toEqual({
      kind: 'open',
      topics: ['channel:a', 'channel:b'],
      resumed: true,
      node: 'n1',
    });
  });

  it.each([
    ['{"topic":"channel:a","reason":"slow-consumer","lost":12}', 'slow-consumer', 12],
    ['{"topic":"channel:a","reason":"source-interrupted","lost":null}', 'source-interrupted', null],
    ['{"topic":"channel:a","reason":"from-the-future","lost":0}', 'unknown', 0],
  ])('reads the gap %s', (data, reason, lost) => {
    expect(readFrame(wire('stream.gap', data))).toEqual({
      kind: 'gap',
      topic: 'channel:a',
      reason,
      lost,
    });
  });

  it.each(['', 'not json', 'null', '[]', '"text"', '{"topics":7,"reason":7,"lost":"12"}'])(
    'survives control events with the data %j',
    (data) => {
      expect(readFrame(wire('stream.open', data))).toMatchObject({ kind: 'open', topics: [] });
      expect(readFrame(wire('stream.gap', data))).toMatchObject({ kind: 'gap', lost: null });
      expect(readFrame(wire('stream.close', data))).toEqual({ kind: 'close', reason: 'unknown' });
      expect(readFrame(wire('stream.ping', data))).toEqual({ kind: 'ping' });
    },
  );
});

describe('topicOf', () => {
  it.each([
    ['channel:a@12', 'channel:a'],
    ['channel:a@1@2', 'channel:a'],
    ['channel:me%40home@12', 'channel:me@home'],
    ['channel:100%25@12', 'channel:100%'],
    ['channel:%C3%BCber@12', 'channel:über'],
    ['1763820000000-0', undefined],
    ['@12', undefined],
    ['%ZZ@12', undefined],
    ['', undefined],
  ])('finds in %j the topic %j', (id, topic) => {
    expect(topicOf(id)).toBe(topic);
  });
});

describe('soleTopic', () => {
  it('is the one literal topic of a subscription', () => {
    expect(soleTopic(['channel:a'])).toBe('channel:a');
    expect(soleTopic(['channel:a', 'channel:b'])).toBeUndefined();
    expect(soleTopic(['channel:a.*'])).toBeUndefined();
    expect(soleTopic([])).toBeUndefined();
  });
});

describe('isGlob', () => {
  it.each([
    ['channel:a.*', true],
    ['key:price:?TC', true],
    ['channel:[ab]', true],
    ['channel:\\*', false],
    ['stream:a*', false],
    ['channel:a', false],
  ])('says of %j: %j', (topic, glob) => {
    expect(isGlob(topic)).toBe(glob);
  });
});
