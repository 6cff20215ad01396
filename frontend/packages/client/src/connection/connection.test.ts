// @vitest-environment jsdom
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { FakeEventSource } from '../../../../test/fake-event-source';
import { type Connection, type ConnectionOptions, createConnection } from './connection.js';
import { diagnose } from './diagnose.js';
import type { Frame } from './protocol.js';
import type { Status } from './status.js';

let statuses: Status[];
let frames: Frame[];
let connection: Connection;
let url: string;

/** Not random: the first retry is after exactly 1 s, the second after 2 s, and so on. */
const options: ConnectionOptions = { EventSource: FakeEventSource, retry: { random: () => 0 } };

function connect({ types = [], ...more }: ConnectionOptions & { types?: string[] } = {}) {
  const plan = () => ({
    url,
    types,
    receive: (frame: Frame) => frames.push(frame),
    explain: (signal: AbortSignal) => diagnose(url, signal),
  });
  const onStatus = (status: Status) => statuses.push(status);
  connection = createConnection(plan, onStatus, { ...options, ...more });
  connection.start();
}

const status = () => statuses.at(-1);
const line = () => FakeEventSource.current;
const lines = () => FakeEventSource.opened.length;

beforeEach(() => {
  vi.useFakeTimers({ now: 1_000_000 });
  vi.stubGlobal('fetch', vi.fn().mockRejectedValue(new TypeError('no network in this test')));
  FakeEventSource.opened = [];
  statuses = [];
  frames = [];
  url = '/events';
});

afterEach(() => {
  connection.stop();
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

describe('a connection', () => {
  it('is live once the gateway says so, not when the line opens', () => {
    connect();
    expect(status()).toEqual({ phase: 'connecting', attempt: 1, cause: undefined });
    line().accept();
    expect(status()?.phase).toBe('connecting');
    line().open();
    expect(status()).toEqual({ phase: 'live', since: 1_000_000 });
  });

  it('opens one line however often it is started', () => {
    connect();
    connection.start();
    expect(lines()).toBe(1);
  });

  it('listens to the given types of publishers', () => {
    connect({ types: ['order.created'] });
    line().open();
    line().emit('order.created', '{}', '1');
    line().emit('order.cancelled', '{}', '2');
    expect(frames.filter((frame) => frame.kind === 'message')).toEqual([
      { kind: 'message', id: '1', type: 'order.created', data: '{}' },
    ]);
  });

  it('listens to the key events without being asked', () => {
    connect();
    line().open({ topics: ['key:price'] });
    line().emit('key.deleted', 'null', '1');
    expect(frames.at(-1)).toEqual({ kind: 'message', id: '1', type: 'key.deleted', data: 'null' });
  });

  it('says when it tries again, and does so then', () => {
    connect();
    line().open();
    line().break();
    expect(line().readyState).toBe(2);
    expect(status()).toEqual({
      phase: 'waiting',
      attempt: 2,
      retryAt: 1_001_000,
      cause: { kind: 'lost' },
    });
    vi.advanceTimersByTime(999);
    expect(lines()).toBe(1);
    vi.advanceTimersByTime(1);
    expect(lines()).toBe(2);
    expect(status()).toEqual({ phase: 'connecting', attempt: 2, cause: { kind: 'lost' } });
  });

  it('waits longer after each failure, until it was live', () => {
    connect();
    const waits = [];
    for (let n = 0; n < 7; n++) {
      line().break();
      const now = status();
      if (now?.phase === 'waiting') waits.push(now.retryAt - Date.now());
      vi.advanceTimersToNextTimer();
    }
    expect(waits).toEqual([1_000, 2_000, 4_000, 8_000, 15_000, 15_000, 15_000]);
    line().open();
    line().break();
    expect(status()).toMatchObject({ retryAt: Date.now() + 1_000 });
  });

  it('requests the URL for each connection', () => {
    connect();
    line().open();
    line().break();
    url = '/events?lastEventId=7';
    connection.retryNow();
    expect(line().url).toBe('/events?lastEventId=7');
  });

  it('keeps the old source until the new one is open', () => {
    connect();
    line().open();
    const old = line();
    connection.replace();
    expect(old.readyState).not.toBe(2);
    old.message('x');
    line().message('too early');
    line().open();
    expect(old.readyState).toBe(2);
    old.message('from the old source');
    expect(frames.filter(({ kind }) => kind === 'message')).toMatchObject([{ data: 'x' }]);
    expect(statuses.map(({ phase }) => phase)).toEqual(['connecting', 'live']);
  });

  it('sends a replacement that waits at once if asked to retry', () => {
    connect();
    line().open();
    connection.retryNow();
    expect(lines()).toBe(1);
    connection.replace();
    line().break();
    connection.retryNow();
    expect(lines()).toBe(3);
    connection.retryNow();
    expect(lines()).toBe(3);
    line().open();
    connection.retryNow();
    vi.advanceTimersByTime(30_000);
    expect(lines()).toBe(3);
    expect(status()?.phase).toBe('live');
  });

  it('does not wait for ever for a replacement', () => {
    connect({ staleAfter: 60_000 });
    line().open();
    connection.replace();
    line().accept();
    vi.advanceTimersByTime(59_000);
    FakeEventSource.opened[0]?.emit('stream.ping', '{}');
    vi.advanceTimersByTime(1_000);
    expect(FakeEventSource.opened[1]?.readyState).toBe(2);
    vi.advanceTimersByTime(1_000);
    expect(lines()).toBe(3);
    expect(status()?.phase).toBe('live');
  });

  it('drops the replacement when it loses the connection', () => {
    connect();
    line().open();
    const old = line();
    connection.replace();
    old.break();
    expect(line().readyState).toBe(2);
    expect(status()?.phase).toBe('waiting');
  });

  it('does not hurry for another request while the server is away', () => {
    connect();
    line().break();
    connection.replace();
    expect(lines()).toBe(1);
  });

  it('tries another request at once where this one was refused', () => {
    connect();
    line().refuse();
    connection.replace();
    expect(lines()).toBe(2);
  });

  it('closes a connection without events for 40 s', () => {
    connect();
    line().open();
    vi.advanceTimersByTime(39_999);
    expect(status()?.phase).toBe('live');
    vi.advanceTimersByTime(1);
    expect(status()).toMatchObject({ phase: 'waiting', cause: { kind: 'stale' } });
    expect(FakeEventSource.opened[0]?.readyState).toBe(2);
  });

  it('counts any event as activity', () => {
    connect();
    line().open();
    for (let n = 0; n < 20; n++) {
      vi.advanceTimersByTime(15_000);
      line().emit('stream.ping', '{"time":"2026-01-01T00:00:00Z"}');
    }
    expect(status()?.phase).toBe('live');
    expect(lines()).toBe(1);
  });

  it('does not wait for ever for an answer', () => {
    connect();
    vi.advanceTimersByTime(40_000);
    expect(status()).toMatchObject({ phase: 'waiting', cause: { kind: 'unreachable' } });
  });

  it.each(['draining', 'token-expired', 'unavailable', 'overloaded'])(
    'gives the reason %s as the cause of waiting',
    (reason) => {
      connect();
      line().emit('stream.close', JSON.stringify({ reason }));
      expect(status()).toMatchObject({ phase: 'waiting', cause: { kind: 'ended', reason } });
      expect(line().readyState).toBe(2);
    },
  );

  it('ignores events of a connection that it has closed', () => {
    connect();
    const old = line();
    old.open();
    old.break();
    vi.advanceTimersByTime(1_000);
    old.message('late', '99');
    old.break();
    expect(status()?.phase).toBe('connecting');
    expect(frames).toHaveLength(1);
  });

  it('tries at once on request, and not when it is live', () => {
    connect();
    line().break();
    connection.retryNow();
    expect(lines()).toBe(2);
    line().open();
    connection.retryNow();
    expect(lines()).toBe(2);
  });

  it('looks at the clock when it wakes up', () => {
    connect();
    line().open();
    vi.setSystemTime(Date.now() + 60_000); // The machine slept: time has passed, no timer has fired.
    connection.wake();
    expect(status()).toMatchObject({ phase: 'waiting', cause: { kind: 'stale' } });
    connection.wake();
    expect(lines()).toBe(1);
    vi.setSystemTime(Date.now() + 60_000);
    connection.wake();
    expect(lines()).toBe(2);
  });

  it('asks why, where the server refuses, and then slows down', async () => {
    const problem = Response.json(
      { detail: 'channel:secret is not open.' },
      { status: 403, headers: { 'Content-Type': 'application/problem+json' } },
    );
    vi.mocked(fetch).mockResolvedValueOnce(problem);
    connect();
    line().refuse();
    expect(status()).toMatchObject({ cause: { kind: 'refused', refusal: undefined } });
    await vi.advanceTimersByTimeAsync(0);
    expect(status()).toMatchObject({
      phase: 'waiting',
      retryAt: 1_015_000,
      cause: { refusal: { status: 403, detail: 'channel:secret is not open.' } },
    });
    await vi.advanceTimersByTimeAsync(14_999);
    expect(lines()).toBe(1);
    await vi.advanceTimersByTimeAsync(1);
    expect(lines()).toBe(2);
  });

  it('ignores an explanation that arrives too late', async () => {
    let answer: (response: Response) => void = () => undefined;
    vi.mocked(fetch).mockReturnValueOnce(new Promise((resolve) => (answer = resolve)));
    connect();
    line().refuse();
    connection.retryNow();
    line().break();
    answer(new Response(null, { status: 403 }));
    await vi.advanceTimersByTimeAsync(0);
    expect(status()).toMatchObject({ cause: { kind: 'unreachable' } });
  });

  it.each([429, 502, 503])('does not slow down for a %d, which passes', async (code) => {
    vi.mocked(fetch).mockResolvedValueOnce(new Response(null, { status: code }));
    connect();
    line().refuse();
    await vi.advanceTimersByTimeAsync(0);
    expect(status()).toMatchObject({ retryAt: 1_001_000, cause: { refusal: { status: code } } });
  });

  const replaceIt = () => {
    line().open();
    connection.replace();
  };

  it.each([
    ['connecting', () => undefined],
    ['live', () => line().open()],
    ['waiting', () => line().break()],
    ['being refused', () => line().refuse()],
    ['being replaced', replaceIt],
  ])('leaves nothing behind when it is stopped while %s', async (_, bring) => {
    connect();
    bring();
    connection.stop();
    await Promise.resolve();
    expect(line().readyState).toBe(2);
    expect(vi.getTimerCount()).toBe(0);
    expect(status()).toEqual({ phase: 'closed' });
  });
});
