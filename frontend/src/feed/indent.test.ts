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

  it('is bounded in depth and in length', () => {
    const nested = '['.repeat(20_000) + ']'.repeat(20_000);
    const text = indentJSON(nested);
    expect(text.replace(/\s/g, '')).toBe(nested);
    expect(text.length).toBeLessThan(nested.length + 2_000);
    expect(indentJSON(`[${'1,'.repeat(50_000)}1]`, 100).length).toBeLessThan(110);
  });

  it('keeps numbers as they were written, and keys that occur twice', () => {
    expect(indentJSON('{ "n" : 12345678901234567890, "n": 1.0 }')).toBe(
      '{\n  "n": 12345678901234567890,\n  "n": 1.0\n}',
    );
  });
});
