import { act, fireEvent, render, screen, within } from '@testing-library/react';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { FakeEventSource } from '../../test/fake-event-source';
import { SSEStream } from './SSEStream';

const line = () => FakeEventSource.current;
const rows = () => within(screen.getByRole('log')).getAllByRole('listitem');
const button = (name: string | RegExp) => screen.getByRole('button', { name });

/** Lets everything that is due within `time` happen, the next frame included. */
function pass(time = 20) {
  act(() => {
    vi.advanceTimersByTime(time);
  });
}

function show(url = 'http://localhost:4000/events', limit?: number) {
  render(<SSEStream url={url} {...(limit !== undefined && { limit })} />);
}

function showLive(options?: Parameters<FakeEventSource['open']>[0]) {
  show();
  line().open(options);
  pass();
}

function send(...messages: string[]) {
  for (const message of messages) line().message(message, 'id');
  pass();
}

function scrollTo(top: number) {
  const list = screen.getByRole('log');
  list.scrollTop = top;
  fireEvent.scroll(list);
}

beforeEach(() => {
  vi.useFakeTimers();
  vi.spyOn(Math, 'random').mockReturnValue(0);
  vi.stubGlobal('EventSource', FakeEventSource);
  vi.stubGlobal('fetch', vi.fn().mockRejectedValue(new TypeError('no network in this test')));
  FakeEventSource.opened = [];
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
  it('is a region with the tutorial’s heading', () => {
    show();
    expect(screen.getByRole('region', { name: '📡 Live Server-Sent Events' })).toBeInTheDocument();
  });

  it('shows the tutorial’s message as time and value', () => {
    showLive();
    send('{"time":"2026-01-01T00:00:00.000Z","value":7}');
    expect(rows()[0]).toHaveTextContent('Time: 2026-01-01T00:00:00.000Z | Value: 7');
  });

  it('shows other JSON compactly, and anything else as the text that it is', () => {
    showLive();
    send('{ "value": 42 }', 'plain', '<b>markup</b>', '');
    expect(rows().map((row) => row.querySelector('div')?.textContent)).toEqual([
      'Empty message',
      '<b>markup</b>',
      'plain',
      '{"value":42}',
    ]);
    expect(screen.getByRole('log').querySelector('b')).toBeNull();
  });

  it('puts the newest on top, and keeps no more than the limit', () => {
    show('http://localhost:4000/events', 3);
    line().open();
    send('1', '2', '3', '4', '5');
    expect(rows().map((row) => row.querySelector('div')?.textContent)).toEqual(['5', '4', '3']);
    expect(screen.getByText('newest 3 shown')).toBeInTheDocument();
  });

  it('says how many events a gap has lost, and why', () => {
    showLive();
    const gap = (lost: number | null, reason: string) =>
      line().emit('stream.gap', JSON.stringify({ topic: 'channel:updates', lost, reason }), 'id');
    gap(12, 'slow-consumer');
    gap(1, 'history-expired');
    gap(null, 'source-interrupted');
    pass();
    expect(rows()[2]).toHaveTextContent('12 events missed: this connection was too slow');
    expect(rows()[1]).toHaveTextContent('1 event missed: older than');
    expect(rows()[0]).toHaveTextContent('Some events may have been missed: the server lost');
    expect(screen.getByText('13 missed')).toBeInTheDocument();
  });

  it('names topics and types where they are not always the same', () => {
    showLive({ topics: ['channel:a', 'channel:b'] });
    line().message('x', 'channel:b@1');
    pass();
    expect(rows()[0]).toHaveTextContent('channel:b');
    const topics = within(screen.getByRole('list', { name: 'Topics' }));
    expect(topics.getAllByRole('listitem').map((item) => item.textContent)).toEqual([
      'channel:a',
      'channel:b',
    ]);
  });

  it('says before the first event how to send one', () => {
    showLive();
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
    showLive();
    fireEvent.click(button('Copy the Redis command'));
    await act(() => vi.advanceTimersByTimeAsync(0));
    expect(writeText).toHaveBeenCalledWith(`redis-cli PUBLISH updates '{"value":42}'`);
    expect(button('Copied the Redis command')).toBeInTheDocument();
    pass(2_000);
    expect(button('Copy the Redis command')).toBeInTheDocument();
  });

  it('says how the connection is, and counts down to the next try', () => {
    show();
    expect(screen.getByText('Connecting…')).toBeInTheDocument();
    line().open();
    pass();
    expect(screen.getByText('Live')).toBeInTheDocument();
    line().break();
    pass();
    expect(screen.getByText('Retrying in 1 s')).toBeInTheDocument();
    pass(1_000);
    line().break();
    pass();
    expect(screen.getByText('Retrying in 2 s')).toBeInTheDocument();
    pass(1_000);
    expect(screen.getByText('Retrying in 1 s')).toBeInTheDocument();
  });

  it('tries at once on request, and takes the notice away when it is live again', () => {
    showLive();
    line().break();
    pass();
    expect(screen.getByText(/The connection was lost/)).toBeInTheDocument();
    fireEvent.click(button('Retry now'));
    pass();
    expect(FakeEventSource.opened).toHaveLength(2);
    expect(button('Retry now')).toHaveAttribute('aria-disabled', 'true');
    line().open({ resumed: true });
    pass();
    expect(screen.queryByRole('button', { name: 'Retry now' })).toBeNull();
    expect(screen.getByText('Connected again, nothing was missed')).toBeInTheDocument();
  });

  it('says how to start a local server that cannot be reached', () => {
    show();
    line().break();
    pass();
    const notice = screen.getByText(/Cannot reach http:\/\/localhost:4000/);
    expect(notice).toHaveTextContent('Start it with make run.');
  });

  it.each([
    ['unavailable', /cannot reach Redis/],
    ['overloaded', /no room/],
    ['token-expired', /token has expired/],
    ['draining', /going away for a moment/],
  ])('puts the reason %s into words', (reason, words) => {
    showLive();
    line().emit('stream.close', JSON.stringify({ reason }));
    pass();
    expect(screen.getByText(words)).toBeInTheDocument();
  });

  it('shows what the server says against a topic', async () => {
    const body = JSON.stringify({ detail: 'channel:secret is not open.' });
    const headers = { 'Content-Type': 'application/problem+json' };
    vi.mocked(fetch).mockResolvedValueOnce(new Response(body, { status: 403, headers }));
    show('http://localhost:4000/events?channel=secret');
    line().refuse();
    await act(() => vi.advanceTimersByTimeAsync(20));
    expect(screen.getByText(/\(403\): channel:secret is not open\./)).toBeInTheDocument();
  });

  it('stands still while the reader has scrolled away, and leads back to the newest', () => {
    showLive();
    send('1', '2');
    scrollTo(100);
    send('3', '4', '5');
    scrollTo(120);
    expect(rows()).toHaveLength(2);
    expect(screen.getByText('↑ 3 new')).toBeInTheDocument();
    fireEvent.click(button('Show 3 events that came meanwhile'));
    expect(rows()).toHaveLength(5);
    expect(screen.getByRole('log').scrollTop).toBe(0);
    send('6');
    expect(rows()).toHaveLength(6);
  });

  it('goes on when the reader scrolls back to the top', () => {
    showLive();
    send('1');
    scrollTo(100);
    send('2');
    scrollTo(0);
    expect(rows()).toHaveLength(2);
  });

  it('stands still on request, also at the top', () => {
    showLive();
    send('1');
    fireEvent.click(button('Pause'));
    send('2');
    scrollTo(0);
    expect(rows()).toHaveLength(1);
    fireEvent.click(button('Resume'));
    expect(rows()).toHaveLength(2);
  });

  it('shows the beginning of a long text, more on request, and never all of a huge one', () => {
    showLive();
    send('x'.repeat(1024 * 1024));
    const shown = () => rows()[0]?.textContent.match(/x{10,}/)?.[0].length;
    expect(shown()).toBe(280);
    fireEvent.click(button('Show all 1,048,576 characters'));
    expect(shown()).toBe(20_000);
    expect(screen.getByText(/first 20,000 characters/)).toBeInTheDocument();
    fireEvent.click(button('Show less'));
    expect(shown()).toBe(280);
  });

  it('shortens a text of many lines', () => {
    showLive();
    send('\n'.repeat(100));
    expect(button('Show all 100 characters')).toBeInTheDocument();
  });

  it('does not have each event read aloud, but a summary now and then', () => {
    showLive();
    send('1', '2', '3');
    expect(screen.getByRole('log')).toHaveAttribute('aria-live', 'off');
    const spoken = () => screen.getAllByRole('status').map((status) => status.textContent);
    expect(spoken()).toEqual(['Connected', '', '']);
    pass(30_000);
    expect(spoken()).toEqual(['Connected', '', '3 events received']);
    line().emit('stream.ping', '{}');
    pass(30_000);
    expect(spoken()).toEqual(['Connected', '', '']);
  });

  it('follows another stream when its address changes', () => {
    const { rerender } = render(<SSEStream url="http://localhost:4000/events" />);
    line().open();
    send('old');
    fireEvent.click(button('Pause'));
    const old = line();
    rerender(<SSEStream url="http://localhost:4000/events?channel=b" />);
    expect(old.readyState).toBe(2);
    expect(line().url).toBe('http://localhost:4000/events?channel=b');
    pass();
    expect(screen.queryByText('old')).toBeNull();
    line().open();
    send('new');
    expect(rows()).toHaveLength(1);
  });
});
