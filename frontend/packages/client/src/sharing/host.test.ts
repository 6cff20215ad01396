import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { eventually } from '../../../../test/eventually';
import { FakeEventSource } from '../../../../test/fake-event-source';
import { createHost, type FromHost, type ToHost } from './host.js';
import type { Report } from './multiplexer.js';

let accept: ReturnType<typeof createHost>;
let ports: MessagePort[];

beforeEach(() => {
  FakeEventSource.opened = [];
  accept = createHost({ EventSource: FakeEventSource, retry: { base: 3_600_000, max: 3_600_000 } });
  ports = [];
});

afterEach(() => {
  vi.unstubAllGlobals();
  for (const port of ports) {
    port.postMessage({ kind: 'close' });
    port.close();
  }
});

/** A tab of the host, on real ports. */
function openTab() {
  const { port1: port, port2 } = new MessageChannel();
  const received: FromHost[] = [];
  port.onmessage = ({ data }: MessageEvent<FromHost>) => received.push(data);
  accept(port2);
  const send = (message: ToHost) => port.postMessage(message);
  const count = (kind: FromHost['kind']) => received.filter((it) => it.kind === kind).length;
  ports.push(port);
  return {
    ...{ send, count, kinds: () => received.map(({ kind }) => kind) },
    reports: (): Report[] => received.flatMap((it) => (it.kind === 'reports' ? it.reports : [])),
    follow: (topic: string, { token = '', key = 1 } = {}) =>
      send({
        ...{ kind: 'requests', eventsURL: 'http://gateway/events', token, options: {} },
        requests: [{ ...{ key, topic, every: '', last: 0, types: [], from: undefined } }],
      }),
    /** Returns after the host has handled all messages sent so far, and the tab has received its answers. */
    settle: async () => {
      const before = count('pong');
      send({ kind: 'ping', isOnline: false });
      await eventually(() => expect(count('pong')).toBeGreaterThan(before));
    },
  };
}

const source = () => eventually(() => FakeEventSource.current);

it('sends nothing to tabs without new events', async () => {
  const [a, b] = [openTab(), openTab()];
  a.follow('channel:a');
  b.follow('channel:a');
  const events = await source();
  events.open({ id: '1' });
  events.message('x', '2');
  for (const tab of [a, b]) {
    await eventually(() => expect(tab.reports().map(({ kind }) => kind)).toContain('item'));
  }
  for (let turn = 0; turn < 50; turn++) await Promise.all([a.settle(), b.settle()]);
  expect(a.count('reports')).toBeLessThan(6);
  expect(b.count('reports')).toBeLessThan(6);
});

it('connects at once for a dropped tab whose reader asks for it', async () => {
  const tab = openTab();
  tab.follow('channel:a');
  const events = await source();
  events.open({ id: '1' });
  events.message('x'.repeat(17 * 1024 * 1024), '2');
  await eventually(() => expect(events.readyState).toBe(2));
  openTab().follow('channel:a');
  await eventually(() => expect(FakeEventSource.opened).toHaveLength(2));
  FakeEventSource.current.break();
  tab.send({ kind: 'retry' });
  await eventually(() => expect(tab.count('dropped')).toBe(1));
  tab.follow('channel:a', { key: 2 });
  await eventually(() => expect(FakeEventSource.opened).toHaveLength(3));
});

it('sends a tab all reports before it drops it', async () => {
  const tab = openTab();
  tab.follow('channel:a');
  const events = await source();
  events.open({ id: '1' });
  await tab.settle();
  events.message('x'.repeat(17 * 1024 * 1024), '2');
  await eventually(() => expect(tab.count('dropped')).toBe(1));
  expect(tab.kinds().slice(-2)).toEqual(['reports', 'dropped']);
  expect(tab.reports().at(-1)).toMatchObject({ kind: 'cursor', cursor: { id: 'channel:a@2' } });
});

it('ignores requests that a dropped tab sends before it knows', async () => {
  const tab = openTab();
  tab.follow('channel:a');
  const events = await source();
  events.open({ id: '1' });
  events.message('x'.repeat(17 * 1024 * 1024), '2');
  await eventually(() => expect(events.readyState).toBe(2));
  const joined = () => tab.reports().flatMap((it) => (it.kind === 'joined' ? [it.key] : []));
  tab.follow('channel:a');
  tab.follow('channel:a');
  await tab.settle();
  expect(tab.count('dropped')).toBe(1);
  tab.follow('channel:a', { key: 2 });
  await eventually(() => expect(joined()).toEqual([1, 2]));
});

it('sends a refused token again for a new tab', async () => {
  vi.stubGlobal('fetch', () =>
    Promise.resolve(
      new Response('{"detail":"expired"}', {
        status: 401,
        headers: { 'Content-Type': 'application/problem+json' },
      }),
    ),
  );
  const tab = openTab();
  tab.follow('channel:a', { token: 'secret' });
  (await source()).refuse();
  const urls = () => FakeEventSource.opened.map(({ url }) => new URL(url).search);
  await eventually(() => expect(urls().at(-1)).toBe('?channel=a'));
  tab.send({ kind: 'close' });
  await eventually(() => expect(FakeEventSource.current.readyState).toBe(2));
  const opened = urls().length;
  openTab().follow('channel:a', { token: 'secret' });
  await eventually(() => expect(urls().length).toBeGreaterThan(opened));
  expect(urls()[opened]).toBe('?channel=a&access_token=secret');
});
