// @vitest-environment jsdom
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { sessionMemory } from './memory.js';

const memory = sessionMemory('http://gateway.test');

/** Keeps under one name after the other, a moment apart. */
function keepAll(names: readonly string[], value: unknown) {
  for (const name of names) {
    vi.advanceTimersByTime(1);
    memory.keep(name, value);
  }
}

beforeEach(() => {
  vi.useFakeTimers();
  sessionStorage.clear();
  sessionStorage.setItem('another', 'x');
});

afterEach(() => {
  vi.useRealTimers();
});

it('returns stored state once', () => {
  memory.keep('a', { b: [1] });
  expect(memory.take('a')).toEqual({ b: [1] });
  expect(memory.take('a')).toBeUndefined();
});

it('keeps the ten newest, and touches nothing else', () => {
  const names = Array.from({ length: 25 }, (_, n) => `n${n}`);
  keepAll([...names.slice(0, 20), 'n0', ...names.slice(20)], 1);
  expect(sessionStorage).toHaveLength(11);
  expect(sessionStorage.getItem('another')).toBe('x');
  expect(names.filter((name) => memory.take(name) === 1)).toEqual(['n0', ...names.slice(16)]);
});

it('makes room where the browser has none, the oldest first', () => {
  const half = 'x'.repeat(2_000_000);
  keepAll(['a', 'b', 'c'], half);
  expect(memory.take('a')).toBeUndefined();
  expect(memory.take('b')).toBe(half);
  expect(memory.take('c')).toBe(half);
});

it('does not store state that is too large', () => {
  memory.keep('huge', 'x'.repeat(20_000_000));
  expect(memory.take('huge')).toBeUndefined();
});

it('ignores a value of another version of the app', () => {
  memory.keep('a', { b: 1 });
  const [key = ''] = Object.keys(sessionStorage).filter((key) => key.endsWith(' a'));
  const { at, value } = JSON.parse(sessionStorage.getItem(key) ?? '') as Record<string, unknown>;
  for (const version of [undefined, 1, 99]) {
    sessionStorage.setItem(key, JSON.stringify({ at, version, value }));
    expect(memory.take('a')).toBeUndefined();
  }
});
