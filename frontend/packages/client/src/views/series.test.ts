import { describe, expect, it } from 'vitest';
import type { Entry } from '../entry.js';
import { collectSeries, type SeriesOptions } from './series.js';
import { newSubscription as state } from '../../../../test/subscription-state';

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

  it('keeps a bounded number of points', () => {
    const [xs, ys] = columns(10_000, { window: Infinity, points: 100 });
    expect(xs).toHaveLength(100);
    expect(ys?.at(-1)).toBe(10_000);
  });

  it('uses the time in the value, and never decreases', () => {
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

  it('is not pinned to a time in the future', () => {
    const at = (value: { t: number }) => value.t;
    const series = collectSeries(({ t }: { t: number }) => t, { at });
    [90_000, 8_000, 9_000].forEach((t, n) => {
      series.onEntry(message(7 + n, JSON.stringify({ t })));
    });
    expect(series.read(state).data[0]).toEqual([7, 8, 9]);
  });

  it('says when it has let go points of its window', () => {
    const series = collectSeries((value: number) => value, { window: 50_000, points: 10 });
    const add = (from: number, to: number, step: number) => {
      for (let n = from; n <= to; n += step) series.onEntry(message(n, '1'));
    };
    add(1, 9, 1);
    expect(series.read(state).isCut).toBe(false);
    add(10, 45, 1);
    expect(series.read(state).isCut).toBe(true);
    add(50, 300, 10);
    expect(series.read(state).isCut).toBe(false);
  });

  it('has a bounded number of columns, and drops those without new values', () => {
    const select = (value: Record<string, number>) => value;
    const series = collectSeries(select, { window: 10_000 });
    const row = (from: number) =>
      JSON.stringify(Object.fromEntries(Array.from({ length: 50 }, (_, n) => [`n${from + n}`, 1])));
    series.onEntry(message(1, row(0)));
    series.onEntry(message(2, row(50)));
    expect(series.read(state)).toMatchObject({ names: { length: 64 }, leftOut: 36 });
    series.onEntry(message(30, '{"n0":1}'));
    expect(series.read(state).names).toEqual(['n0']);
    series.onEntry(message(31, row(50)));
    const { names, data, leftOut } = series.read(state);
    expect(names).toHaveLength(51);
    expect(data[51]).toEqual([null, 1]);
    expect(leftOut).toBe(0);
  });

  it('leaves out data that is not a value', () => {
    const series = collectSeries((value: number) => (value > 0 ? value : undefined), {});
    for (const data of ['1', 'no', '-1', '2']) series.onEntry(message(1, data));
    expect(series.read(state).data).toEqual([
      [1, 1],
      [1, 2],
    ]);
  });
});
