import { EventSource } from 'eventsource';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { eventually } from '../../../test/eventually';
import { FakeEventSource } from '../../../test/fake-event-source';
import { encode, type SSEServer, startSSEServer } from '../../../test/sse-server';
import { createStreamClient, type StreamClientOptions } from './client.js';
import type { Entry } from './entry.js';
import type { SubscriptionState } from './subscription.js';

let server: SSEServer;
let ends: (() => void)[];

beforeEach(async () => {
  server = await startSSEServer();
  ends = [];
});

afterEach(async () => {
  vi.restoreAllMocks();
  vi.useRealTimers();
  ends.forEach((end) => end());
  await server[Symbol.asyncDispose]();
});

/** Follows topics on a server whose behaviour the path names. */
function follow(path: string, topics: string[], options: StreamClientOptions = {}) {
  const client = createStreamClient(server.origin + path, {
    EventSource,
    retry: { base: 10, max: 100 },
    ...options,
  });
  const got: string[] = [];
  let state: SubscriptionState | undefined;
  const end = client.subscribe(
    topics,
    {},
    {
      onEntry: (entry) => got.push(entry.kind === 'message' ? `${entry.seq} ${entry.data}` : 'gap'),
      onState: (next) => (state = next),
    },
  );
  ends.push(end);
  return { client, got, end, state: () => state };
}

describe('a client, over a real connection', () => {
  it('resumes after the last event when the connection ends', async () => {
    const { got } = follow('/three', ['channel:updates']);
    await eventually(() => expect(got.length).toBeGreaterThanOrEqual(9));
    expect(got.slice(0, 9)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9].map((n) => `${n} event ${n}`));
    expect(server.visits[1]?.url.searchParams.get('lastEventId')).toBe('channel:updates@3');
  });

  it('survives a proxy that answers 502 for a moment', async () => {
    const { got } = follow('/bad-gateway-once', ['channel:updates']);
    await eventually(() => expect(got).toContain('1 event 1'));
  });

  it('reports why the gateway refuses a topic', async () => {
    const { state } = follow('/forbidden', ['channel:secret']);
    await eventually(() =>
      expect([...(state()?.refused ?? [])]).toEqual([
        ['channel:secret', { status: 403, detail: 'channel:secret is not open.' }],
      ]),
    );
  });

  it('follows the default topics with one request', async () => {
    const { client, state } = follow('', []);
    await eventually(() => expect(state()?.topics).toEqual(['channel:updates']));
    await eventually(() => expect(client.status.getSnapshot().status.phase).toBe('live'));
    expect(server.visits.map(({ url }) => url.search)).toEqual(['']);
    await eventually(async () => expect(await server.openConnections()).toBe(1));
  });

  it('replaces a connection without heartbeats', async () => {
    const { state } = follow('/silent', ['channel:a'], { staleAfter: 50 });
    await server.nextVisit();
    await server.nextVisit();
    expect(state()?.status.phase).not.toBe('live');
  });

  it('leaves no connection behind', async () => {
    const { end } = follow('', ['channel:a']);
    const visit = await server.nextVisit();
    end();
    await visit.gone;
  });

  it('delivers data of any kind unchanged', async () => {
    const { got } = follow('', ['channel:updates']);
    const { response } = await server.nextVisit();
    const texts = ['', ' x ', 'two\nlines', '{"a":"größer 😀"}', 'data: x'];
    texts.forEach((data, n) => response.write(encode({ id: String(n + 1), data })));
    await eventually(() => expect(got).toEqual(texts.map((text, n) => `${n + 1} ${text}`)));
  });
});

/** A client whose connections the test drives. */
function create(options: StreamClientOptions = {}) {
  FakeEventSource.opened = [];
  return createStreamClient('http://gateway.test', { EventSource: FakeEventSource, ...options });
}

const requested = (count = 1) =>
  eventually(() => expect(FakeEventSource.opened).toHaveLength(count));

describe('a subscription', () => {
  it('receives only the types that it names', async () => {
    const client = create();
    const [plain, progress]: [string[], string[]] = [[], []];
    const into = (got: string[]) => ({
      onEntry: (entry: Entry) => {
        got.push(entry.kind === 'message' ? `${entry.seq} ${entry.type}` : 'gap');
      },
    });
    const subscription = client.subscribe(['stream:a'], {}, into(plain));
    ends.push(subscription);
    ends.push(client.subscribe(['stream:a'], { events: ['progress'] }, into(progress)));
    await requested();
    FakeEventSource.current.open({ id: '0-0' });
    FakeEventSource.current.message('x', '1-0');
    FakeEventSource.current.emit('progress', 'x', '2-0');
    await eventually(() => expect(progress).toEqual(['1 message', '2 progress']));
    expect(plain).toEqual(['1 message']);
    await eventually(() =>
      expect(subscription.progress()['stream:a']?.cursor?.id).toBe('stream:a@2-0'),
    );
    FakeEventSource.current.end('x', '3-0.end');
    await eventually(() => expect(plain).toEqual(['1 message', '2 stream.end']));
  });

  it('receives nothing after its end', async () => {
    const client = create();
    const [kept, got]: [string[], string[]] = [[], []];
    ends.push(client.subscribe(['channel:a'], { last: 3 }, collect(kept)));
    await requested();
    FakeEventSource.current.open({ id: '1' });
    for (const n of [2, 3, 4]) FakeEventSource.current.message(`${n}`, `${n}`);
    await eventually(() => expect(kept).toEqual(['2', '3', '4']));
    const observer = {
      onEntry: (entry: Entry) => {
        collect(got).onEntry(entry);
        end();
      },
    };
    const end = client.subscribe(['channel:a'], { last: 3 }, observer);
    await eventually(() => expect(got).not.toEqual([]));
    expect(got).toEqual(['2']);
    expect(end.progress()).toEqual({});
  });

  it('loses nothing if an observer of another one fails', async () => {
    const errors: unknown[] = [];
    vi.spyOn(globalThis, 'queueMicrotask').mockImplementation((run) => {
      void Promise.resolve()
        .then(run)
        .catch((error: unknown) => errors.push(error));
    });
    const fail = () => {
      throw new Error('failed');
    };
    const client = create();
    const got: string[] = [];
    ends.push(client.subscribe(['channel:b'], {}, { onEntry: fail, onState: fail }));
    ends.push(client.subscribe(['channel:a'], {}, collect(got)));
    await requested();
    FakeEventSource.current.open({ id: 'channel:a@1' });
    FakeEventSource.current.message('x', 'channel:b@2');
    FakeEventSource.current.message('x', 'channel:a@2');
    FakeEventSource.current.emit('stream.ping', `{"time":"${new Date().toISOString()}"}`);
    FakeEventSource.current.message('y', 'channel:a@3');
    await eventually(() => expect(got).toEqual(['x', 'y']));
    expect(errors).toContainEqual(new Error('failed'));
  });
});

/** An observer that collects the data of messages. */
const collect = (got: string[]) => ({
  onEntry: (entry: Entry) => {
    got.push(entry.kind === 'message' ? entry.data : 'gap');
  },
});

/** A client whose tokens a server of the test judges. */
function withTokens(options: StreamClientOptions) {
  FakeEventSource.opened = [];
  const client = createStreamClient('http://gateway.test', {
    EventSource: FakeEventSource,
    retry: { base: 10, max: 100 },
    ...options,
  });
  const got: string[] = [];
  ends.push(client.subscribe(['channel:a'], {}, collect(got)));
  const tokenOf = () => new URL(FakeEventSource.current.url).searchParams.get('access_token');
  const at = (token: string) => eventually(() => expect(tokenOf()).toBe(token));
  return { client, got, at };
}

describe('a token that expires', () => {
  it('is replaced by the one of onTokenExpired, without losing the place', async () => {
    const onTokenExpired = vi.fn(() => Promise.resolve('two'));
    const { got, at } = withTokens({ token: () => 'one', onTokenExpired });
    await at('one');
    FakeEventSource.current.open({ id: '1' });
    FakeEventSource.current.message('x', '2');
    await eventually(() => expect(got).toEqual(['x']));
    FakeEventSource.current.emit('stream.close', '{"reason":"token-expired"}');
    await at('two');
    expect(FakeEventSource.current.url).toContain('lastEventId=channel:a@2');
    FakeEventSource.current.open({ id: '2', resumed: true });
    FakeEventSource.current.message('y', '3');
    await eventually(() => expect(got).toEqual(['x', 'y']));
    expect(onTokenExpired).toHaveBeenCalledOnce();
  });

  it('is asked for again after a failure, and at once on a retry', async () => {
    vi.useFakeTimers();
    vi.spyOn(console, 'error').mockReturnValue();
    const onTokenExpired = vi.fn(() => Promise.reject<string>(new Error('offline')));
    const { client, at } = withTokens({ token: () => 'one', onTokenExpired });
    await at('one');
    FakeEventSource.current.open({ id: '1' });
    FakeEventSource.current.emit('stream.close', '{"reason":"token-expired"}');
    await eventually(() => expect(onTokenExpired).toHaveBeenCalledTimes(1));
    await vi.advanceTimersByTimeAsync(2_000);
    expect(onTokenExpired).toHaveBeenCalledTimes(2);
    onTokenExpired.mockResolvedValue('two');
    client.retryNow();
    await vi.advanceTimersByTimeAsync(0);
    expect(onTokenExpired).toHaveBeenCalledTimes(3);
    await at('two');
  });

  it('is renewed at most once a second, however often the gateway refuses it', async () => {
    vi.useFakeTimers();
    let renewals = 0;
    const onTokenExpired = () => Promise.resolve(`token ${++renewals}`);
    const { at } = withTokens({ token: () => 'one', onTokenExpired });
    await at('one');
    const begun = Date.now();
    for (let n = 1; n <= 5; n++) {
      FakeEventSource.current.open({ id: '1' });
      FakeEventSource.current.emit('stream.close', '{"reason":"token-expired"}');
      await at(`token ${n}`);
    }
    expect(Date.now() - begun).toBeGreaterThanOrEqual(4_000);
  });

  it('is asked for again by its function when it has changed', async () => {
    let token = 'one';
    const { client, at } = withTokens({ token: () => token });
    await at('one');
    token = 'two';
    client.tokenChanged();
    await at('two');
  });
});

describe('the place of a subscription', () => {
  const from = {
    'channel:a': {
      offset: { era: 'e ', number: 3 },
      cursor: { id: 'channel:a@3', covers: ['channel:a'] },
    },
  };

  it.each([[['channel:a']], [[]]])(
    'is kept as long as the gateway does not answer for %j',
    async (topics) => {
      FakeEventSource.opened = [];
      const client = createStreamClient('http://gateway.test', { EventSource: FakeEventSource });
      const subscription = client.subscribe(topics, { from }, { onEntry: () => undefined });
      ends.push(subscription);
      await eventually(() => expect(FakeEventSource.current.url).toContain('channel:a@3'));
      FakeEventSource.current.break();
      expect(subscription.progress()).toEqual(from);
    },
  );

  it('is where the default topics resume', async () => {
    FakeEventSource.opened = [];
    const client = createStreamClient('http://gateway.test', { EventSource: FakeEventSource });
    const got: string[] = [];
    ends.push(client.subscribe([], { from }, collect(got)));
    await eventually(() => expect(FakeEventSource.opened).toHaveLength(1));
    FakeEventSource.current.open({ topics: ['channel:a'], id: '3', resumed: true });
    FakeEventSource.current.message('x', '4');
    await eventually(() => expect(got).toEqual(['x']));
    expect(FakeEventSource.opened).toHaveLength(1);
  });
});
