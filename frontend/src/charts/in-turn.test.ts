import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { inTurn } from './in-turn';

let frames: (() => void)[] = [];

function nextFrame() {
  const due = frames;
  frames = [];
  for (const run of due) run();
}

beforeEach(() => {
  frames = [];
  vi.stubGlobal('requestAnimationFrame', (run: () => void) => frames.push(run));
});

afterEach(() => vi.unstubAllGlobals());

it('runs one function per frame, in order', () => {
  const ran: string[] = [];
  for (const name of ['a', 'b', 'c']) inTurn(() => ran.push(name));
  nextFrame();
  expect(ran).toEqual(['a']);
  nextFrame();
  nextFrame();
  expect(ran).toEqual(['a', 'b', 'c']);
  expect(frames).toEqual([]);
});

it('does not run a cancelled function, and continues with the next', () => {
  const ran: string[] = [];
  const cancel = inTurn(() => ran.push('a'));
  inTurn(() => ran.push('b'));
  cancel();
  nextFrame();
  expect(ran).toEqual(['b']);
});

it('continues after a function that throws', () => {
  const ran: string[] = [];
  inTurn(() => {
    throw new Error('no canvas');
  });
  inTurn(() => ran.push('b'));
  expect(nextFrame).toThrow('no canvas');
  nextFrame();
  expect(ran).toEqual(['b']);
});
