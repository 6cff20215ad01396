// @vitest-environment jsdom
import { act, fireEvent, screen } from '@testing-library/react';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { FakeEventSource } from '../../../test/fake-event-source';
import { fakeClient, renderWithClient } from '../../../test/tab';
import { centerOf } from './center';
import { Toasts } from './Toasts';
import './ToastList'; // its import in a test takes no time then

const topics = ['stream:notifications'];
const pass = (time = 120) => act(() => vi.advanceTimersByTimeAsync(time));
const titles = () =>
  [...document.querySelectorAll('[role$="dialog"]:not([data-limited]) p:first-child')].map(
    ({ textContent }) => textContent,
  );

let sent = 0;

async function send(title: string, severity: string) {
  FakeEventSource.current.message(JSON.stringify({ title, severity }), `${++sent}-0`);
  await pass();
}

/** Shows toasts, after the time in which events count as old. */
async function show() {
  const client = fakeClient();
  centerOf(client, topics).subscribe(() => undefined); // as the badge does
  const view = renderWithClient(<Toasts topics={topics} isHidden={false} />, client);
  await pass();
  FakeEventSource.current.open({ topics });
  await pass(2_500);
  return view;
}

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => vi.useRealTimers());

it('shows a notification for some seconds, and a critical one until it is dismissed', async () => {
  await show();
  await send('Backup done', 'success');
  await send('Disk full', 'critical');
  expect(titles()).toEqual(['Disk full', 'Backup done']);
  await pass(10_000);
  expect(titles()).toEqual(['Disk full']);
  fireEvent.click(screen.getByRole('button', { name: 'Dismiss: Disk full' }));
  await pass();
  expect(titles()).toEqual([]);
});

it('keeps the time of a toast when others arrive', async () => {
  await show();
  await send('First', 'info');
  await pass(5_000);
  await send('Second', 'info');
  await pass(4_000);
  expect(titles()).toEqual(['Second']);
});

it('shows at most three', async () => {
  await show();
  for (const title of ['1', '2', '3', '4']) await send(title, 'critical');
  expect(titles()).toEqual(['4', '3', '2']);
});

it('shows none on the screen of the notifications', async () => {
  const { rerender } = await show();
  await send('Before', 'critical');
  rerender(<Toasts topics={topics} isHidden />);
  await pass();
  expect(titles()).toEqual([]);
  await send('There', 'critical');
  rerender(<Toasts topics={topics} isHidden={false} />);
  await pass();
  expect(titles()).toEqual([]);
});
