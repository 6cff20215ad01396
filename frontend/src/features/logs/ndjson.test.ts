import { expect, it } from 'vitest';
import type { GapEntry } from '@sluice/client';
import type { LogRow } from './line';
import { readLine } from './line';
import { toNDJSON } from './ndjson';

const at = Date.parse('2026-01-01T12:00:00Z');

const line = (data: string): LogRow =>
  readLine(
    {
      kind: 'message',
      seq: 1,
      topic: 'stream:logs',
      id: '1-0',
      type: 'message',
      data,
      receivedAt: at,
    },
    1,
  );

it('writes a line for each event, with its data as it was written', () => {
  const [json, text, lines] = toNDJSON([
    line('{"n":\n 1.000,"s":"a\\nb"}'),
    line('plain'),
    line('a\nb'),
  ]);
  expect(json).toBe(
    '{"time":"2026-01-01T12:00:00.000Z","topic":"stream:logs","id":"1-0","type":"message","data":{"n":  1.000,"s":"a\\nb"}}\n',
  );
  expect(JSON.parse(text ?? '')).toMatchObject({ data: 'plain' });
  expect(JSON.parse(lines ?? '')).toMatchObject({ data: 'a\nb' });
});

it('says where lines may be missing', () => {
  const gap: GapEntry = {
    kind: 'gap',
    id: '',
    seq: 2,
    topic: 'stream:logs',
    reason: 'history-expired',
    lost: 3,
    receivedAt: at,
  };
  expect(toNDJSON([{ kind: 'gap', seq: 2, entry: gap }])).toEqual([
    '{"time":"2026-01-01T12:00:00.000Z","gap":{"topic":"stream:logs","reason":"history-expired","lost":3}}\n',
  ]);
});
