import { expect, it } from 'vitest';
import { membersOf, memberText } from './members';

it('keeps numbers as they were written', () => {
  const members = membersOf(
    '{"id": 9007199254740993, "price": 9.50, "deep": { "ids": [1e400, -0] }}',
  );
  expect([...(members ?? [])]).toEqual([
    ['id', '9007199254740993'],
    ['price', '9.50'],
    ['deep', '{"ids":[1e400,-0]}'],
  ]);
});

it('reads names and values of any kind', () => {
  const text = ' {"a\\"}":"x, {y}:","b":[],"c":{},"d":null,"e":[[{"f":{}}],2],"a":true}';
  expect(membersOf(text.replace('"a":true', '"b":true'))).toEqual(
    new Map([
      ['a"}', '"x, {y}:"'],
      ['b', 'true'],
      ['c', '{}'],
      ['d', 'null'],
      ['e', '[[{"f":{}}],2]'],
    ]),
  );
  expect(membersOf('{}')).toEqual(new Map());
});

it.each(['', 'text', '[1]', '{"a":1', '{"a":1}}', 'null', '"{}"'])('finds none in %j', (data) => {
  expect(membersOf(data)).toBeUndefined();
});

it('reads an object that is nested deeply', () => {
  const nested = '['.repeat(20_000) + ']'.repeat(20_000);
  expect(membersOf(`{"a":${nested}}`)?.get('a')).toBe(nested);
});

it('shows strings without quotes', () => {
  expect([memberText('"a\\nb"'), memberText('{"a":"b"}'), memberText(undefined)]).toEqual([
    'a\nb',
    '{"a":"b"}',
    '',
  ]);
});
