// @vitest-environment jsdom
import { act, screen } from '@testing-library/react';
import { afterEach, expect, it, vi } from 'vitest';
import { fakeClient, renderWithClient } from '../../../test/tab';
import { Gateway } from './Gateway';
import type { GatewayStats } from './gateway';

// jsdom has no canvas.
vi.mock('uplot', () => ({ default: {} }));

const pass = (time: number) => act(() => vi.advanceTimersByTimeAsync(time));

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

it('says when the chart begins, until the first rates are known', async () => {
  vi.useFakeTimers();
  let seconds = 100;
  const stats = (): GatewayStats => ({
    ...{ node: 'a', version: '1', connections: 1, topics: 1, gaps: 0, slow_clients: 0 },
    ...{ uptime_seconds: ++seconds, events: seconds, deliveries: seconds, memory_bytes: 1 },
  });
  vi.stubGlobal('fetch', () => Promise.resolve(Response.json(stats())));
  renderWithClient(<Gateway span={60} />, fakeClient());
  await pass(100);
  expect(screen.getByText(/^A chart of deliveries/)).toBeVisible();
  expect(screen.queryByRole('figure')).toBeNull();
  await pass(7_000);
  expect(screen.queryByText(/^A chart of deliveries/)).toBeNull();
  expect(screen.getByRole('figure', { name: 'Throughput' })).toBeVisible();
});
