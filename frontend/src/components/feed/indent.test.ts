import { describe, expect, it } from 'vitest';
import { indentJSON } from './indent';

describe('indentJSON', () => {
  it.each([
    '{}',
    '[]',
    '{"a":{},"b":[],"c":[{}]}',
    '{"a":1,"b":[true,null,"x"],"c":{"d":"e"}}',
    '[[1,2],[3]]',
    String.raw`{"a\"b{":"[,:]\\"}`,
    '"text"',
    '-1.5',
  ])('spreads %s as JSON.stringify does', (json) => {
    expect(indentJSON(json)).toBe(JSON.stringify(JSON.parse(json), null, 2));
  });

  it('keeps numbers as they were written, and keys that occur twice', () => {
    expect(indentJSON('{ "n" : 12345678901234567890, "n": 1.0 }')).toBe(
      '{\n  "n": 12345678901234567890,\n  "n": 1.0\n}',
    );
  });
});
