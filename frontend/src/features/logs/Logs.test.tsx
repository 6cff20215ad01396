import { act, fireEvent, screen } from '@testing-library/react';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { FakeEventSource } from '../../../test/fake-event-source';
import { renderWithClient } from '../../../test/tab';
import Logs from './Logs';

const query = new URLSearchParams();
const show = (topic: string) => <Logs topics={[topic]} query={query} setQuery={() => undefined} />;

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

const pass = () => act(() => vi.advanceTimersByTimeAsync(200));

/** A line arrives. */
async function write(text: string) {
  await pass();
  FakeEventSource.current.open({ id: '0-0' });
  FakeEventSource.current.message(text, '1-0');
  await pass();
}

it('closes the detail when another stream is shown', async () => {
  const { rerender } = renderWithClient(show('stream:a'));
  await write('line of a');
  fireEvent.click(screen.getByText('line of a'));
  expect(screen.getByRole('complementary', { name: 'Detail' })).toBeInTheDocument();
  rerender(show('stream:b'));
  await write('line of b');
  expect(screen.getByText('line of b')).toBeInTheDocument();
  expect(screen.queryByRole('complementary', { name: 'Detail' })).toBeNull();
});
