// @vitest-environment jsdom
import { act, screen } from '@testing-library/react';
import { afterEach, expect, it, vi } from 'vitest';
import { FakeEventSource } from '../../../test/fake-event-source';
import { fakeClient, renderWithClient } from '../../../test/tab';
import { centerOf } from './center';
import { Toasts } from './Toasts';

vi.mock('./ToastList', () => ({
  default: () => {
    throw new TypeError('Failed to fetch dynamically imported module');
  },
}));

const topics = ['stream:notifications'];
const pass = (time = 120) => act(() => vi.advanceTimersByTimeAsync(time));

async function send(title: string, id: string) {
  FakeEventSource.current.message(JSON.stringify({ title }), id);
  await pass();
}

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
  localStorage.clear();
});

it('notifies the desktop also if the code of the toasts cannot be loaded', async () => {
  vi.useFakeTimers();
  vi.spyOn(console, 'error').mockReturnValue(); // React logs what the boundary has caught
  const desktop: string[] = [];
  vi.stubGlobal('isSecureContext', true);
  const Notification = vi.fn(function (title: string) {
    desktop.push(title);
  });
  vi.stubGlobal('Notification', Object.assign(Notification, { permission: 'granted' }));
  vi.stubGlobal('navigator', {
    locks: { request: () => Promise.resolve(), query: () => Promise.resolve({ held: [] }) },
  });
  localStorage.setItem('sluice:desktop', 'on');

  const client = fakeClient();
  centerOf(client, topics).subscribe(() => undefined);
  renderWithClient(<Toasts topics={topics} isHidden={false} />, client);
  await pass();
  FakeEventSource.current.open({ topics });
  await pass(2_500);
  await send('In sight', '1-0');
  expect(screen.getByRole('alert')).toHaveTextContent('This page is out of date');

  vi.spyOn(document, 'hidden', 'get').mockReturnValue(true);
  await send('Out of sight', '2-0');
  expect(desktop).toEqual(['Out of sight']);
});
