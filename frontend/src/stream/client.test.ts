import { EventSource } from 'eventsource';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { eventually } from '../../test/eventually';
import { FakeEventSource } from '../../test/fake-event-source';
import { encode, type SSEServer, startSSEServer } from '../../test/sse-server';
import { createStreamClient, type StreamClientOptions } from './client';
import type { SubscriptionState } from './subscription';

let server: SSEServer;
let ends: (() => void)[];

beforeEach(async () => {
  server = await startSSEServer();
  ends = [];
});

afterEach(async () => {
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
  it('goes on after the last event when the connection ends', async () => {
    const { got } = follow('/three', ['channel:updates']);
    await eventually(() => expect(got.length).toBeGreaterThanOrEqual(9));
    expect(got.slice(0, 9)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9].map((n) => `${n} event ${n}`));
    expect(server.visits[1]?.url.searchParams.get('lastEventId')).toBe('channel%3Aupdates@3');
  });

  it('survives a proxy that answers 502 for a moment', async () => {
    const { got } = follow('/bad-gateway-once', ['channel:updates']);
    await eventually(() => expect(got).toContain('1 event 1'));
  });

  it('says what the gateway has against a topic', async () => {
    const { state } = follow('/forbidden', ['channel:secret']);
    await eventually(() =>
      expect([...(state()?.refused ?? [])]).toEqual([
        ['channel:secret', { status: 403, detail: 'channel:secret is not open.' }],
      ]),
    );
  });

  it('learns the default topics, and follows them by name on the one connection', async () => {
    const { client, state } = follow('', []);
    await eventually(() => expect(state()?.topics).toEqual(['channel:updates']));
    await eventually(() => expect(client.status.getSnapshot().status.phase).toBe('live'));
    expect(server.visits.map(({ url }) => url.search)).toEqual(['', '?channel=updates']);
    await eventually(async () => expect(await server.openConnections()).toBe(1));
  });

  it('finds the dead line when nothing comes, and takes another', async () => {
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

  it('takes data of any kind unchanged', async () => {
    const { got } = follow('', ['channel:updates']);
    const { response } = await server.nextVisit();
    const texts = ['', ' x ', 'two\nlines', '{"a":"größer 😀"}', 'data: x'];
    texts.forEach((data, n) => response.write(encode({ id: String(n + 1), data })));
    await eventually(() => expect(got).toEqual(texts.map((text, n) => `${n + 1} ${text}`)));
  });
});

describe('the status of a client', () => {
  it('is not live as long as anybody waits for the default topics', async () => {
    const client = createStreamClient('http://gateway.test', { EventSource: FakeEventSource });
    const phase = () => client.status.getSnapshot().status.phase;
    const observer = { onEntry: () => undefined };
    ends.push(client.subscribe(['channel:a'], {}, observer));
    const line = await eventually(() => FakeEventSource.current);
    line.open({ id: '1' });
    expect(phase()).toBe('live');
    const giveUp = client.subscribe([], {}, observer);
    expect(phase()).toBe('connecting');
    giveUp();
    expect(phase()).toBe('live');
  });

  it('asks for the default topics at once with a new token', async () => {
    const client = createStreamClient('http://gateway.test', { EventSource: FakeEventSource });
    ends.push(client.subscribe([], {}, { onEntry: () => undefined }));
    FakeEventSource.current.break();
    expect(client.status.getSnapshot().status.phase).toBe('waiting');
    const opened = FakeEventSource.opened.length;
    client.tokenChanged();
    await eventually(() => expect(FakeEventSource.opened.length).toBe(opened + 1));
  });
});
