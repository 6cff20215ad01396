import { render, screen } from '@testing-library/react';
import { afterEach, expect, it, vi } from 'vitest';
import type { Entry } from '@sluice/client';
import * as payload from '../../feed/payload';
import { EventRow } from './EventRow';

const message = (data: string): Entry => ({
  ...{ kind: 'message', id: '1', type: 'message', topic: 'channel:a', seq: 1, receivedAt: 1, data },
});

afterEach(() => {
  vi.restoreAllMocks();
});

it('shows a bounded part of 40 kB of nested arrays', () => {
  const nested = '['.repeat(20_000) + ']'.repeat(20_000);
  const { container } = render(<EventRow entry={message(nested)} isPretty />);
  expect(container.textContent.length).toBeLessThan(5_000);
  expect(screen.getByText(/The first 4,000 characters/)).toBeInTheDocument();
});

it('shows data raw that it cannot format', () => {
  vi.spyOn(console, 'error').mockReturnValue(undefined);
  vi.spyOn(payload, 'splitKeys').mockImplementation(() => {
    throw new RangeError('too deep');
  });
  render(<EventRow entry={message('{"a":1}')} isPretty />);
  expect(screen.getByText('{"a":1}')).toBeInTheDocument();
});
