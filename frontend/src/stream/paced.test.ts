import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { Scheduler } from './frames';
import { paced } from './paced';

const INTERVAL = 100;
const FRAME = 16;

const frames: Scheduler = (run) => {
  const timer = setTimeout(run, FRAME);
  return () => clearTimeout(timer);
};

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

it('runs with the next frame, then not before the interval has passed', () => {
  const schedule = paced(frames, INTERVAL);
  const run = vi.fn();
  schedule(run);
  vi.advanceTimersByTime(FRAME);
  expect(run).toHaveBeenCalledTimes(1);
  schedule(run);
  vi.advanceTimersByTime(INTERVAL - 1);
  expect(run).toHaveBeenCalledTimes(1);
  vi.advanceTimersByTime(1 + FRAME);
  expect(run).toHaveBeenCalledTimes(2);
  vi.advanceTimersByTime(INTERVAL);
  schedule(run);
  vi.advanceTimersByTime(FRAME);
  expect(run).toHaveBeenCalledTimes(3);
});

it.each([0, FRAME, INTERVAL, INTERVAL + 1])('can be cancelled after %d ms', (time) => {
  const schedule = paced(frames, INTERVAL);
  schedule(() => undefined);
  vi.advanceTimersByTime(FRAME);
  const run = vi.fn();
  const cancel = schedule(run);
  vi.advanceTimersByTime(time);
  cancel();
  vi.advanceTimersByTime(1_000);
  expect(run).not.toHaveBeenCalled();
});
