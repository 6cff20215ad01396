import { describe, expect, it } from 'vitest';
import { addSample, emptyHistory, type GatewayStats, ratesBetween } from './gateway';

const sample = (seconds: number, stats: Partial<GatewayStats> = {}) => ({
  at: seconds * 1_000,
  stats: {
    ...{ node: 'a', version: 'dev', uptime_seconds: seconds, connections: 1, topics: 1 },
    ...{ events: 0, deliveries: 0, gaps: 0, slow_clients: 0, memory_bytes: 1, ...stats },
  },
});

describe('rates', () => {
  it('are differences of counters per second', () => {
    const before = sample(10, { events: 100, deliveries: 1_000 });
    const after = sample(12.5, { events: 150, deliveries: 1_500 });
    expect(ratesBetween(before, after)).toEqual({ events: 20, deliveries: 200 });
  });

  it.each([
    ['another gateway', sample(20, { node: 'b', events: 500, deliveries: 500 })],
    ['one that has started anew', sample(20, { uptime_seconds: 1, events: 500, deliveries: 500 })],
    ['counters that went back', sample(20, { events: 5, deliveries: 500 })],
    ['no time in between', sample(10, { events: 500, deliveries: 500 })],
  ])('are not known with %s', (_, after) => {
    expect(ratesBetween(sample(10, { events: 100, deliveries: 100 }), after)).toBeUndefined();
  });
});

describe('the history', () => {
  it('leaves out the replay that the page itself asked for', () => {
    const history = [
      sample(1),
      sample(4, { deliveries: 1_000 }),
      sample(7, { deliveries: 1_006 }),
    ].reduce((history, next) => addSample(history, next, 3_500), emptyHistory);
    expect(history.data[2]).toEqual([null, null, 2]);
  });

  it('breaks its lines where a rate is not known', () => {
    const history = [
      sample(1),
      sample(2, { events: 3, deliveries: 6 }),
      sample(3, { uptime_seconds: 0, events: 1 }),
    ].reduce((history, next) => addSample(history, next, 0), emptyHistory);
    expect(history.data).toEqual([
      [1, 2, 3],
      [null, 3, null],
      [null, 6, null],
    ]);
    expect(history.rates).toBeUndefined();
    expect(history.newest?.stats.events).toBe(1);
  });

  it('is bounded', () => {
    let history = emptyHistory;
    for (let n = 0; n < 1_300; n++) history = addSample(history, sample(n), 0);
    expect(history.data[0]).toHaveLength(1_200);
    expect(history.data[0][0]).toBe(100);
  });
});
