import { expect, it } from 'vitest';
import { createQueue } from './queue';

it('returns its items in order while it grows and shrinks', () => {
  const queue = createQueue<number>();
  const model: number[] = [];
  for (let n = 0; n < 20_000; n++) {
    queue.push(n);
    model.push(n);
    // It shrinks on average, so the free slots at the start are reclaimed many times.
    for (let k = n % 7 === 0 ? 6 : 0; k > 0; k--) expect(queue.shift()).toBe(model.shift());
  }
  expect(queue.length).toBe(model.length);
  expect(queue.at(0)).toBe(model[0]);
  expect(queue.at(queue.length - 1)).toBe(model.at(-1));
  expect(queue.toArray()).toEqual(model);
});

it('is empty when everything was taken', () => {
  const queue = createQueue<string>();
  queue.push('a');
  expect(queue.shift()).toBe('a');
  expect(queue.shift()).toBeUndefined();
  expect(queue.length).toBe(0);
  queue.push('b');
  expect(queue.at(0)).toBe('b');
});
