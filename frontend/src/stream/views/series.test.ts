import { describe, expect, it } from 'vitest';
import type { Entry } from '../entry';
import { collectSeries, type SeriesOptions } from './series';
import { connecting } from '../line/status';

const state = { status: connecting, topics: [], refused: new Map() };

const message = (second: number, data: string): Entry => ({
  ...{ kind: 'message', id: '', type: 'message', topic: 'channel:a', seq: 1, data },
  receivedAt: second * 1_000,
});

function columns(count: number, options: SeriesOptions<number>) {
  const series = collectSeries((value: number) => value, options);
  for (let n = 1; n <= count; n++) series.onEntry(message(n, String(n)));
  return series.read(state).data;
}

describe('a series', () => {
  it('keeps the points of its window', () => {
    expect(columns(10, { window: 3_000 })).toEqual([
      [7, 8, 9, 10],
      [7, 8, 9, 10],
    ]);
  });

  it('keeps no more than so many points, however many came', () => {
    const [xs, ys] = columns(10_000, { window: Infinity, points: 100 });
    expect(xs).toHaveLength(100);
    expect(ys?.at(-1)).toBe(10_000);
  });

  it('takes the time from the value, and never goes back', () => {
    const at = (value: { t?: number }) => value.t;
    const series = collectSeries(({ v }: { v: number; t?: number }) => v, { at });
    for (const data of ['{"v":1,"t":5000}', '{"v":2,"t":4000}', '{"v":3}']) {
      series.onEntry(message(9, data));
    }
    expect(series.read(state).data).toEqual([
      [5, 5, 9],
      [1, 2, 3],
    ]);
  });

  it('leaves out what is not a value', () => {
    const series = collectSeries((value: number) => (value > 0 ? value : undefined), {});
    for (const data of ['1', 'no', '-1', '2']) series.onEntry(message(1, data));
    expect(series.read(state).data).toEqual([
      [1, 1],
      [1, 2],
    ]);
  });
});
