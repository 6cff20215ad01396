import { describe, expect, it } from 'vitest';
import type { MessageEntry } from '@sluice/client';
import { readLine } from './line';

const ARRIVED = Date.parse('2026-01-01T12:00:00Z');

const entry = (data: string) =>
  ({
    kind: 'message',
    seq: 1,
    topic: 'stream:logs',
    id: '1-0',
    type: 'message',
    data,
    receivedAt: ARRIVED,
  }) as MessageEntry;

const read = (data: unknown) =>
  readLine(entry(typeof data === 'string' ? data : JSON.stringify(data)), 7);

describe('readLine', () => {
  it('reads the usual fields under their usual names', () => {
    const line = read({
      ts: '2026-01-01T10:00:00Z',
      severity: 'Error',
      logger: 'db',
      msg: 'gone',
      id: 7,
    });
    expect(line).toMatchObject({
      seq: 7,
      level: 'error',
      time: Date.parse('2026-01-01T10:00:00Z'),
    });
    expect(line.text).toBe('db gone id=7');
    expect(line.text.slice(line.messageStart, line.fieldsStart)).toBe('gone ');
    expect(line.text.slice(line.fieldsStart)).toBe('id=7');
  });

  it('shows fields of any type', () => {
    expect(read({ a: 'x', b: { c: [1, null] }, d: true }).text).toBe('a=x b={"c":[1,null]} d=true');
  });

  it('keeps numbers as they were written, so that a filter finds them', () => {
    expect(read('{"id":9007199254740993,"total":9.50}').text).toBe(
      'id=9007199254740993 total=9.50',
    );
  });

  it('does not change plain text, and text that only looks like JSON', () => {
    expect(read('plain ERROR text')).toMatchObject({
      text: 'plain ERROR text',
      level: 'error',
      time: ARRIVED,
    });
    expect(read('{"broken').text).toBe('{"broken');
    expect(read('[1,2]').text).toBe('[1,2]');
  });

  it('shows several lines as one', () => {
    expect(read({ message: 'a\nb', trace: 'c\r\nd' }).text).toBe('a b trace=c  d');
  });

  it('bounds the text of a huge line, not the line', () => {
    const line = read({ service: 's', message: 'x'.repeat(100_000) });
    expect(line.text).toHaveLength(4_096);
    expect(line.fieldsStart).toBe(4_096);
    expect(line.entry.data.length).toBeGreaterThan(100_000);
  });

  it.each([
    [1_767_268_800, 'seconds'],
    [1_767_268_800_000, 'milliseconds'],
    [1_767_268_800_000_000, 'microseconds'],
    [1_767_268_800_000_000_000, 'nanoseconds'],
  ])('takes the time %d in %s', (time) => {
    expect(read({ time }).time).toBe(1_767_268_800_000);
  });

  it.each(['soon', null, {}, -1e300])('takes the arrival for a line whose time is %j', (time) => {
    expect(read({ time }).time).toBe(ARRIVED);
  });
});
