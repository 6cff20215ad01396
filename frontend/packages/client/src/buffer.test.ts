import { describe, expect, it } from 'vitest';
import { createBuffer } from './buffer.js';

const sizeOf = (text: string) => text.length;

describe('createBuffer', () => {
  it('keeps the newest entries in order', () => {
    const buffer = createBuffer<string>({ limit: 3, maxSize: 100, sizeOf });
    for (let n = 0; n < 100; n++) {
      buffer.push(String(n));
      const first = Math.max(0, n - 2);
      const expected = Array.from({ length: n - first + 1 }, (_, i) => String(first + i));
      expect(buffer.toArray()).toEqual(expected);
    }
    expect(buffer.dropped()).toBe(97);
  });

  it('bounds the sum of sizes, but keeps the newest entry whatever its size', () => {
    const buffer = createBuffer<string>({ limit: 100, maxSize: 5, sizeOf });
    buffer.push('aa');
    buffer.push('bbb');
    buffer.push('c');
    expect(buffer.toArray()).toEqual(['bbb', 'c']);
    buffer.push('dddddddd');
    expect(buffer.toArray()).toEqual(['dddddddd']);
    buffer.push('e');
    expect(buffer.toArray()).toEqual(['e']);
  });

  it('hands out copies', () => {
    const buffer = createBuffer<string>({ limit: 3, maxSize: 100, sizeOf });
    buffer.push('a');
    const before = buffer.toArray();
    buffer.push('b');
    expect(before).toEqual(['a']);
  });
});
