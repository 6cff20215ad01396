// @vitest-environment jsdom
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createBatch, nextFrame, paced, type Scheduler } from './frames.js';

beforeEach(() => vi.useFakeTimers());

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

describe('nextFrame', () => {
  it('runs once, with the next frame', () => {
    const run = vi.fn();
    nextFrame(run);
    vi.advanceTimersToNextFrame();
    expect(run).toHaveBeenCalledOnce();
    vi.advanceTimersByTime(10_000);
    expect(run).toHaveBeenCalledOnce();
  });

  it('runs within a second without frames, as in a hidden tab', () => {
    vi.stubGlobal('requestAnimationFrame', () => 0);
    const run = vi.fn();
    nextFrame(run);
    vi.advanceTimersByTime(1_000);
    expect(run).toHaveBeenCalledOnce();
  });

  it('does not run once it is cancelled', () => {
    const run = vi.fn();
    nextFrame(run)();
    vi.advanceTimersByTime(10_000);
    expect(run).not.toHaveBeenCalled();
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe('createBatch', () => {
  it('runs once for many requests, and again for later ones', () => {
    const run = vi.fn();
    const batch = createBatch(run, nextFrame);
    batch.request();
    batch.request();
    vi.advanceTimersToNextFrame();
    expect(run).toHaveBeenCalledTimes(1);
    batch.request();
    vi.advanceTimersToNextFrame();
    expect(run).toHaveBeenCalledTimes(2);
  });

  it('can be used again after it was cancelled', () => {
    const run = vi.fn();
    const batch = createBatch(run, nextFrame);
    batch.request();
    batch.cancel();
    batch.request();
    vi.advanceTimersByTime(10_000);
    expect(run).toHaveBeenCalledOnce();
  });
});

describe('paced', () => {
  const INTERVAL = 100;
  const FRAME = 16;

  const frames: Scheduler = (run) => {
    const timer = setTimeout(run, FRAME);
    return () => clearTimeout(timer);
  };

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
});
