import { expect, it, vi } from 'vitest';
import { FakeEventSource } from '../../../../test/fake-event-source';
import { createLink } from './link.js';

vi.mock('./host.js', () => {
  throw new Error('the file is gone');
});

it('reports once that the code of the host cannot be loaded', async () => {
  vi.useFakeTimers();
  const report = vi.fn();
  vi.stubGlobal('queueMicrotask', report);
  const onStart = vi.fn();
  const link = createLink(
    'http://gateway/events',
    { EventSource: FakeEventSource },
    onStart,
    vi.fn(),
  );
  await vi.dynamicImportSettled();
  await vi.advanceTimersByTimeAsync(20_000);
  await vi.dynamicImportSettled();
  expect(onStart.mock.calls.length).toBeGreaterThan(2);
  expect(report).toHaveBeenCalledTimes(1);
  link.close();
  vi.unstubAllGlobals();
  vi.useRealTimers();
});
