// @vitest-environment jsdom
import { beforeEach, expect, it, vi } from 'vitest';

const NOW = Date.UTC(2026, 0, 1);

beforeEach(() => {
  vi.resetModules();
  vi.useFakeTimers({ now: NOW });
  return () => vi.useRealTimers();
});

async function load(text: string) {
  localStorage.setItem('sluice:read', text);
  const { readMarks } = await import('./read-marks');
  return readMarks;
}

it('restores the read marks', async () => {
  const marks = await load('{"since":5,"read":[["a",7]]}');
  marks.mark(['b']);
  expect(marks.getSnapshot()).toEqual({
    since: 5,
    read: new Map([
      ['a', 7],
      ['b', NOW],
    ]),
  });
});

it.each([
  '',
  'null',
  '7',
  '[]',
  '{"read":[]}',
  '{"since":5,"read":["a"]}',
  '{"since":5,"read":[[]]}',
])('starts fresh from %j, which another version of the app has kept', async (text) => {
  const marks = await load(text);
  expect(marks.getSnapshot()).toEqual({ since: NOW, read: new Map() });
});
