import { describe, expect, it } from 'vitest';
import { readPayload, splitKeys } from './payload';

describe('readPayload', () => {
  it.each([
    ['{"time":"2026-01-01T00:00:00Z","value":7}', '2026-01-01T00:00:00Z', '7'],
    [' { "value" : 0, "time" : 12 } ', '12', '0'],
    ['{"time":"now","value":"high"}', 'now', 'high'],
    ['{"time":"now","value":false}', 'now', 'false'],
  ])('recognises the reading %s', (data, time, value) => {
    expect(readPayload(data)).toEqual({ kind: 'reading', time, value });
  });

  it.each([
    ['{ "value": 42 }', '{"value":42}'],
    ['{"time":"now","value":1,"unit":"C"}', '{"time":"now","value":1,"unit":"C"}'],
    ['{"time":"now","value":null}', '{"time":"now","value":null}'],
    ['[1,\n  2]', '[1,2]'],
    ['{"time":"now","value":12345678901234567890}', '{"time":"now","value":12345678901234567890}'],
    ['{"n": 1.000000000000000000001}', '{"n":1.000000000000000000001}'],
    [String.raw`{"a b": "c  \" d", "\\": 1}`, String.raw`{"a b":"c  \" d","\\":1}`],
  ])('shows the JSON %s compactly, with nothing changed', (data, text) => {
    expect(readPayload(data)).toEqual({ kind: 'json', text });
  });

  it.each(['', 'plain', '42', '"quoted"', 'null', '{"broken"', '<b>bold</b>', 'a\nb'])(
    'leaves %j as text',
    (data) => {
      expect(readPayload(data)).toEqual({ kind: 'text', text: data });
    },
  );

  it('does not parse long texts', () => {
    const data = `{"a":"${'x'.repeat(1024 * 1024)}"}`;
    expect(readPayload(data).kind).toBe('text');
  });

  it('copes with a long string of escapes', () => {
    const data = `{"a": "${'\\n'.repeat(30_000)}"}`;
    expect(readPayload(data)).toEqual({ kind: 'json', text: data.replace(' ', '') });
  });
});

describe('splitKeys', () => {
  it('finds the keys, and loses nothing', () => {
    const json = String.raw`{"a":1,"b\":":"c\":","d":{"e":["f"]}}`;
    const parts = splitKeys(json);
    expect(parts.map(({ text }) => text).join('')).toBe(json);
    expect(parts.filter(({ isKey }) => isKey).map(({ text }) => text)).toEqual([
      '"a":',
      String.raw`"b\":":`,
      '"d":',
      '"e":',
    ]);
  });

  it.each(['{"a":"cut o', '{"a', '', '[1,2'])('takes %j, which was cut off', (json) => {
    expect(
      splitKeys(json)
        .map(({ text }) => text)
        .join(''),
    ).toBe(json);
  });
});
