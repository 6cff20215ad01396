// @vitest-environment jsdom
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { FakeEventSource } from '../../../test/fake-event-source';
import { fakeClient } from '../../../test/tab';
import { centerOf } from './center';

const topics = ['stream:notifications'];
const source = () => FakeEventSource.current;
const pass = (time = 120) => vi.advanceTimersByTimeAsync(time);
const send = (title: string, id: string) => source().message(JSON.stringify({ title }), id);

beforeEach(() => {
  vi.useFakeTimers();
  localStorage.clear();
});

afterEach(() => vi.useRealTimers());

/** A center with a listener and a subscriber, and the titles that the listener received. */
async function open() {
  const center = centerOf(fakeClient(), topics);
  const news: string[] = [];
  center.onNews(({ title }) => news.push(title));
  center.subscribe(() => undefined);
  await pass();
  source().open({ topics });
  await pass();
  const titles = () => center.getSnapshot().notifications.map(({ title }) => title);
  return { center, news, titles };
}

it('has the notifications with the newest first, and no gaps', async () => {
  const { titles } = await open();
  send('First', '1-0');
  source().emit(
    'stream.gap',
    '{"topic":"stream:notifications","reason":"slow-consumer","lost":1}',
    '2-0',
  );
  send('Second', '3-0');
  await pass();
  expect(titles()).toEqual(['Second', 'First']);
});

it('reports as news only what arrives after the events from before', async () => {
  const { news } = await open();
  send('From before', '1-0');
  await pass(2_000);
  send('New', '2-0');
  await pass();
  expect(news).toEqual(['New']);
});

it('reports no news to a listener that has left', async () => {
  const { center } = await open();
  const tell = vi.fn();
  const leave = center.onNews(tell);
  await pass(2_000);
  send('One', '1-0');
  await pass();
  leave();
  send('Two', '2-0');
  await pass();
  expect(tell).toHaveBeenCalledTimes(1);
});

it('keeps the newest 200', async () => {
  const { titles } = await open();
  for (let n = 1; n <= 201; n++) send(String(n), `${n}-0`);
  await pass();
  expect(titles()).toHaveLength(200);
  expect(titles().at(-1)).toBe('2');
});

it('is one for equal topics of a client', () => {
  const client = fakeClient();
  expect(centerOf(client, ['stream:a'])).toBe(centerOf(client, ['stream:a']));
  expect(centerOf(client, ['stream:a'])).not.toBe(centerOf(client, ['stream:b']));
  expect(centerOf(client, ['stream:a'])).not.toBe(centerOf(fakeClient(), ['stream:a']));
});

it('asks for nothing without topics', async () => {
  const center = centerOf(fakeClient(), []);
  center.subscribe(() => undefined);
  await pass();
  expect(FakeEventSource.opened).toEqual([]);
  expect(center.getSnapshot().notifications).toEqual([]);
});
