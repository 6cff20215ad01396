import { describe, expect, it } from 'vitest';
import { readFrame } from './protocol.js';

const wire = (type: string, data: string, lastEventId = '') => ({ type, data, lastEventId });

describe('readFrame', () => {
  it('keeps a message unchanged', () => {
    expect(readFrame(wire('message', ' {"a": 1}\n', '7'))).toEqual({
      kind: 'message',
      id: '7',
      type: 'message',
      data: ' {"a": 1}\n',
    });
  });

  it('accepts a type that the publisher gave to a message', () => {
    expect(readFrame(wire('order.created', '{}'))).toMatchObject({ type: 'order.created' });
    expect(readFrame(wire('constructor', '{}'))).toMatchObject({ kind: 'message' });
  });

  it('reads stream.open', () => {
    const data =
      '{"topics":["channel:a","channel:b"],"resumed":true,"node":"n1","missing":["stream:s"]}';
    expect(readFrame(wire('stream.open', data, '7'))).toEqual({
      kind: 'open',
      id: '7',
      topics: ['channel:a', 'channel:b'],
      missing: ['stream:s'],
      resumed: true,
      node: 'n1',
    });
  });

  it.each([
    ['{"topic":"channel:a","reason":"slow-consumer","lost":12}', 'slow-consumer', 12],
    ['{"topic":"channel:a","reason":"source-interrupted","lost":null}', 'source-interrupted', null],
    ['{"topic":"channel:a","reason":"from-the-future","lost":0}', 'unknown', 0],
  ])('reads the gap %s', (data, reason, lost) => {
    expect(readFrame(wire('stream.gap', data, '9'))).toEqual({
      kind: 'gap',
      id: '9',
      topic: 'channel:a',
      reason,
      lost,
    });
  });

  it('reads the time of a ping', () => {
    const data = '{"time":"2026-03-01T12:00:00.123456789Z"}';
    expect(readFrame(wire('stream.ping', data))).toEqual({
      kind: 'ping',
      time: Date.UTC(2026, 2, 1, 12, 0, 0, 123),
    });
  });

  it.each(['', 'not json', 'null', '[]', '"text"', '{"topics":7,"reason":7,"lost":"12"}'])(
    'survives control events with the data %j',
    (data) => {
      expect(readFrame(wire('stream.open', data))).toMatchObject({ kind: 'open', topics: [] });
      expect(readFrame(wire('stream.gap', data))).toMatchObject({ kind: 'gap', lost: null });
      expect(readFrame(wire('stream.close', data))).toEqual({ kind: 'close', reason: 'unknown' });
      expect(readFrame(wire('stream.ping', data))).toEqual({ kind: 'ping', time: undefined });
    },
  );
});
