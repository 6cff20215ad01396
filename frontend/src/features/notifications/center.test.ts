// @vitest-environment jsdom
import { expect, it, vi } from 'vitest';
import { FakeEventSource } from '../../../test/fake-event-source';
import { createStreamClient } from '../../stream/client';
import { centerOf } from './center';

/** What a page does with its notifications until it is left. */
async function visit(message: string) {
  const client = createStreamClient('http://gateway.test', { EventSource: FakeEventSource });
  const opened = FakeEventSource.opened.length;
  const center = centerOf(client, ['stream:notifications']);
  const leave = center.subscribe(() => undefined);
  await vi.waitFor(() => expect(FakeEventSource.opened.length).toBeGreaterThan(opened));
  FakeEventSource.current.open({ id: `${message}-0` });
  FakeEventSource.current.message(message, `${message}-1`);
  const inbox = await vi.waitFor(() => {
    const { notifications } = center.getSnapshot();
    expect(notifications[0]?.title).toBe(message);
    return notifications;
  });
  leave();
  return inbox;
}

it('keeps those from before a reload, under numbers of their own', async () => {
  await visit('1');
  const inbox = await visit('2');
  expect(inbox.map(({ title }) => title)).toEqual(['2', '1']);
  expect(new Set(inbox.map(({ seq }) => seq)).size).toBe(2);
});
