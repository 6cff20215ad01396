import { act, fireEvent, screen, within } from '@testing-library/react';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { FakeEventSource } from '../../../test/fake-event-source';
import { fakeClient, renderWithClient } from '../../../test/tab';
import { SSEStream } from './SSEStream';

const line = () => FakeEventSource.current;
const rows = () => within(screen.getByRole('log')).getAllByRole('listitem');
const button = (name: string | RegExp) => screen.getByRole('button', { name });

/** Lets everything that is due within `time` happen, the next picture included. */
const pass = (time = 120) => act(() => vi.advanceTimersByTimeAsync(time));

async function show(topics = ['channel:updates'], limit?: number) {
  const view = renderWithClient(
    <SSEStream topics={topics} {...(limit !== undefined && { limit })} />,
  );
  await pass();
  return view;
}

async function showLive(topics?: string[], limit?: number) {
  const view = await show(topics, limit);
  line().open();
  await pass();
  return view;
}

let sent = 0;

async function send(...messages: string[]) {
  for (const message of messages) line().message(message, String(++sent));
  await pass();
}

function scrollTo(top: number) {
  const list = screen.getByRole('log');
  list.scrollTop = top;
  fireEvent.scroll(list);
}

beforeEach(() => {
  vi.useFakeTimers();
  vi.spyOn(Math, 'random').mockReturnValue(0);
  vi.stubGlobal('fetch', vi.fn().mockRejectedValue(new TypeError('no network in this test')));
  Element.prototype.scrollTo = function (this: Element) {
    this.scrollTop = 0;
  };
});

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
});

describe('SSEStream', () => {
  it('is a region with the tutorial’s heading', async () => {
    await show();
    expect(screen.getByRole('region', { name: '📡 Live Server-Sent Events' })).toBeInTheDocument();
  });

  it('shows the tutorial’s message as time and value', async () => {
    await showLive();
    await send('{"time":"2026-01-01T00:00:00.000Z","value":7}');
    expect(rows()[0]?.textContent).toBe('Time: 2026-01-01T00:00:00.000Z | Value: 7');
  });

  it('shows other JSON compactly, and anything else as the text that it is', async () => {
    await showLive();
    await send('{ "value": 42 }', 'plain', '<b>markup</b>', '');
    expect(rows().map((row) => row.querySelector('time + div')?.textContent)).toEqual([
      'Empty message',
      '<b>markup</b>',
      'plain',
      '{"value":42}',
    ]);
    expect(screen.getByRole('log').querySelector('b')).toBeNull();
  });

  it('puts the newest on top, and keeps no more than the limit', async () => {
    await showLive(undefined, 3);
    await send('1', '2', '3', '4', '5');
    expect(rows().map((row) => row.querySelector('time + div')?.textContent)).toEqual([
      '5',
      '4',
      '3',
    ]);
    expect(screen.getByText('3 kept')).toBeInTheDocument();
  });

  it('says how many events a gap has lost, and why', async () => {
    await showLive();
    const gap = (lost: number | null, reason: string) =>
      line().emit('stream.gap', JSON.stringify({ topic: 'channel:updates', lost, reason }), 'id');
    gap(12, 'slow-consumer');
    gap(1, 'history-expired');
    gap(null, 'source-interrupted');
    await pass();
    expect(rows()[2]).toHaveTextContent('12 events missed: this connection was too slow');
    expect(rows()[1]).toHaveTextContent('1 event missed: the server no longer has them');
    expect(rows()[0]).toHaveTextContent('Some events may have been missed: the server lost');
    expect(screen.getByText('13 missed')).toBeInTheDocument();
  });

  it('names topics and types where they are not always the same', async () => {
    await showLive(['channel:a', 'channel:b']);
    line().message('x', 'channel:b@p=1,q=1');
    await pass();
    expect(rows()[0]).toHaveTextContent('channel:b');
    const topics = within(screen.getByRole('list', { name: 'Topics' }));
    expect(topics.getAllByRole('listitem').map((item) => item.textContent)).toEqual([
      'channel:a',
      'channel:b',
    ]);
  });

  it('says before the first event how to send one', async () => {
    await showLive();
    expect(screen.getByText('Waiting for the first event')).toBeInTheDocument();
    expect(screen.getByText(`redis-cli PUBLISH updates '{"value":42}'`)).toBeInTheDocument();
    expect(
      screen.getByText(`curl -d '{"value":42}' 'http://localhost:4000/events?channel=updates'`),
    ).toBeInTheDocument();
  });

  it('copies the command on request', async () => {
    const writeText = vi.fn().mockResolvedValue(undefined);
    vi.stubGlobal(
      'navigator',
      Object.assign(Object.create(navigator), { clipboard: { writeText } }),
    );
    await showLive();
    fireEvent.click(button('Copy the Redis command'));
    await act(() => vi.advanceTimersByTimeAsync(0));
    expect(writeText).toHaveBeenCalledWith(`redis-cli PUBLISH updates '{"value":42}'`);
    expect(button('Copied the Redis command')).toBeInTheDocument();
    await pass(2_000);
    expect(button('Copy the Redis command')).toBeInTheDocument();
  });

  it('shows why the server refuses a topic, and how to open it', async () => {
    const body = JSON.stringify({ detail: 'channel:secret is not open.' });
    const headers = { 'Content-Type': 'application/problem+json' };
    vi.mocked(fetch).mockImplementation(() =>
      Promise.resolve(new Response(body, { status: 403, headers })),
    );
    await show(['channel:secret']);
    line().refuse();
    await pass();
    expect(screen.getByText("You don't have access to channel:secret")).toBeInTheDocument();
    expect(screen.getByText(/403: channel:secret is not open\./)).toBeInTheDocument();
    expect(
      screen.getByText("--allow-subscribe 'channel:updates,channel:secret'"),
    ).toBeInTheDocument();
  });

  it('does not change while the reader has scrolled down, and has a way back to the newest', async () => {
    await showLive();
    await send('1', '2');
    scrollTo(100);
    await send('3', '4', '5');
    scrollTo(120);
    expect(rows()).toHaveLength(2);
    expect(screen.getByText('↑ 3 new')).toBeInTheDocument();
    fireEvent.click(button('Show 3 events that came meanwhile'));
    expect(rows()).toHaveLength(5);
    expect(screen.getByRole('log').scrollTop).toBe(0);
    await send('6');
    expect(rows()).toHaveLength(6);
  });

  it('continues when the reader scrolls back to the top', async () => {
    await showLive();
    await send('1');
    scrollTo(100);
    await send('2');
    scrollTo(0);
    expect(rows()).toHaveLength(2);
  });

  it('renders few rows, and all of them when the reader scrolls down', async () => {
    await showLive();
    await send(...Array.from({ length: 150 }, (_, n) => String(n)));
    expect(rows()).toHaveLength(60);
    expect(rows()[0]).toHaveTextContent('149');
    scrollTo(100);
    expect(rows()).toHaveLength(150);
    expect(rows()[0]).toHaveTextContent('149');
  });

  it('animates a single new row, but not a flood', async () => {
    await showLive();
    const isFlood = () => screen.getByRole('log').querySelector('ol')?.dataset.flood;
    await send('1');
    await send('2');
    expect(isFlood()).toBe('false');
    await send('3', '4');
    expect(isFlood()).toBe('true');
  });

  it('can be paused, also at the top', async () => {
    await showLive();
    await send('1');
    fireEvent.click(button('Pause'));
    await send('2');
    scrollTo(0);
    expect(rows()).toHaveLength(1);
    fireEvent.click(button('Resume'));
    expect(rows()).toHaveLength(2);
  });

  it('shows the beginning of a long text, more on request, and never all of a huge one', async () => {
    await showLive();
    await send('x'.repeat(1024 * 1024));
    const shown = () => rows()[0]?.textContent.match(/x{10,}/)?.[0].length;
    expect(shown()).toBe(280);
    fireEvent.click(button('Show all 1,048,576 characters'));
    expect(shown()).toBe(20_000);
    expect(screen.getByText(/first 20,000 characters/)).toBeInTheDocument();
    fireEvent.click(button('Show less'));
    expect(shown()).toBe(280);
  });

  it('shortens a text of many lines', async () => {
    await showLive();
    await send('\n'.repeat(100));
    expect(button('Show all 100 characters')).toBeInTheDocument();
  });

  it('does not have each event read aloud, but a summary now and then', async () => {
    await showLive();
    await send('1', '2', '3');
    expect(screen.getByRole('log')).toHaveAttribute('aria-live', 'off');
    const spoken = () => screen.getAllByRole('status').map((status) => status.textContent);
    expect(spoken()).toEqual(['', '']);
    await pass(30_000);
    expect(spoken()).toEqual(['', '3 events received']);
    line().emit('stream.ping', '{}');
    await pass(30_000);
    expect(spoken()).toEqual(['', '']);
  });

  it('follows other topics when its topics change', async () => {
    const client = fakeClient();
    const { rerender } = renderWithClient(<SSEStream topics={['channel:a']} />, client);
    await pass();
    line().open();
    await send('old');
    rerender(<SSEStream topics={['channel:b']} />);
    await pass();
    expect(line().url).toBe('http://localhost:4000/events?channel=b');
    expect(screen.queryByText('old')).toBeNull();
    line().open();
    await send('new');
    expect(rows()).toHaveLength(1);
  });
});
