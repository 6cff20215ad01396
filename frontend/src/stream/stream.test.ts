import { EventSource } from 'eventsource';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { FakeEventSource } from '../../test/fake-event-source';
import { encode, type SSEServer, startSSEServer } from '../../test/sse-server';
import { createStream, type Stream, type StreamOptions, type StreamSnapshot } from './stream';

let server: SSEServer;
let release: (() => void)[];

beforeEach(async () => {
  server = await startSSEServer();
  release = [];
});

afterEach(async () => {
  release.forEach((unsubscribe) => unsubscribe());
  await server[Symbol.asyncDispose]();
});

function streamOf(path: string, options: StreamOptions = {}): Stream {
  return createStream(server.origin + path, {
    EventSource,
    retry: { base: 5, max: 20 },
    ...options,
  });
}

function follow(stream: Stream, onChange: () => void = () => undefined): () => void {
  const unsubscribe = stream.subscribe(onChange);
  release.push(unsubscribe);
  return unsubscribe;
}

/** Follows the stream until its snapshot is as wanted. */
function until(
  stream: Stream,
  wanted: (snapshot: StreamSnapshot) => boolean,
): Promise<StreamSnapshot> {
  return new Promise((resolve) => {
    const check = () => {
      const snapshot = stream.getSnapshot();
      if (wanted(snapshot)) resolve(snapshot);
    };
    follow(stream, check);
    check();
  });
}

const texts = ({ entries }: StreamSnapshot) =>
  entries.map((entry) => (entry.kind === 'message' ? entry.data : `gap: ${entry.reason}`));

const isLive = ({ status }: StreamSnapshot) => status.phase === 'live';

describe('a stream from a real server', () => {
  it('delivers events in order, and each with its topic', async () => {
    const snapshot = await until(streamOf('/three'), ({ received }) => received >= 3);
    expect(texts(snapshot).slice(0, 3)).toEqual(['event 1', 'event 2', 'event 3']);
    expect(snapshot.entries[0]).toMatchObject({ seq: 1, id: '1', topic: 'channel:updates' });
  });

  it('goes on from the cursor after the line ended', async () => {
    const snapshot = await until(streamOf('/three'), ({ received }) => received >= 7);
    expect(texts(snapshot).slice(0, 7)).toEqual([1, 2, 3, 4, 5, 6, 7].map((n) => `event ${n}`));
    expect(server.visits.slice(0, 3).map(({ url }) => url.search)).toEqual([
      '',
      '?lastEventId=3',
      '?lastEventId=6',
    ]);
  });

  it('keeps line breaks and look-alikes of fields in the data', async () => {
    const stream = streamOf('/events');
    const opened = until(stream, isLive);
    const { response } = await server.nextVisit();
    await opened;
    const data = '\nid: 7\n\nevent: x\n 😀\n';
    response.write(encode({ id: '1', data }));
    expect(texts(await until(stream, ({ received }) => received === 1))).toEqual([data]);
  });

  it('comes back from a 502, at which a browser gives up for good', async () => {
    const snapshot = await until(streamOf('/bad-gateway-once'), ({ received }) => received >= 3);
    expect(texts(snapshot).slice(0, 3)).toEqual(['event 1', 'event 2', 'event 3']);
  });

  it('drops a line that has gone silent, and opens another', async () => {
    follow(streamOf('/silent', { staleAfter: 30 }));
    const first = await server.nextVisit();
    await first.gone;
    await server.nextVisit();
  });

  it('says what a server answers that refuses', async () => {
    const { status } = await until(
      streamOf('/forbidden'),
      ({ status }) =>
        status.phase === 'waiting' && status.cause.kind === 'refused' && !!status.cause.refusal,
    );
    expect(status).toMatchObject({
      cause: { refusal: { status: 403, detail: 'channel:secret is not open.' } },
    });
  });

  it('says that an answer is no event stream', async () => {
    const { status } = await until(
      streamOf('/web-page'),
      ({ status }) =>
        status.phase === 'waiting' && status.cause.kind === 'refused' && !!status.cause.refusal,
    );
    expect(status).toMatchObject({
      cause: {
        refusal: { status: 200, detail: 'The answer is text/html, not text/event-stream.' },
      },
    });
  });

  it('keeps a gap in its place among the messages, and counts what was lost', async () => {
    const stream = streamOf('/events');
    const opened = until(stream, isLive);
    const { response } = await server.nextVisit();
    await opened;
    const gap = { topic: 'channel:updates', reason: 'slow-consumer', lost: 12 };
    response.write(
      encode({ id: '1', data: 'before' }) +
        encode({ event: 'stream.gap', id: '14', data: JSON.stringify(gap) }) +
        encode({ id: '15', data: 'after' }),
    );
    const snapshot = await until(stream, ({ received }) => received === 2);
    expect(texts(snapshot)).toEqual(['before', 'gap: slow-consumer', 'after']);
    expect(snapshot.missed).toBe(12);
  });

  it('takes the topic from the id where there are several', async () => {
    const stream = streamOf('/silent');
    follow(stream);
    const { response } = await server.nextVisit();
    const open = { topics: ['channel:a.*'], resumed: false, node: 'n' };
    response.write(
      encode({ event: 'stream.open', id: 'channel:a.%2A@0', data: JSON.stringify(open) }) +
        encode({ id: 'channel:a.%40x@1', data: '' }),
    );
    const { entries } = await until(stream, ({ received }) => received === 1);
    expect(entries[0]).toMatchObject({ topic: 'channel:a.@x', data: '' });
  });

  it('gives the reason why the server ended the connection', async () => {
    const stream = streamOf('/events', { retry: {} });
    const opened = until(stream, isLive);
    const { response } = await server.nextVisit();
    await opened;
    response.end(encode({ event: 'stream.close', data: '{"reason":"draining"}' }));
    const { status } = await until(stream, ({ status }) => status.phase === 'waiting');
    expect(status).toMatchObject({ cause: { kind: 'ended', reason: 'draining' } });
  });

  it('opens one connection for all subscribers, and closes it with the last', async () => {
    const stream = streamOf('/events');
    const first = follow(stream);
    const second = follow(stream);
    const visit = await server.nextVisit();
    await until(stream, isLive);
    release.pop()?.();
    first();
    expect(stream.getSnapshot().status.phase).toBe('live');
    second();
    await visit.gone;
    expect(stream.getSnapshot().status).toEqual({ phase: 'closed' });
    expect(server.visits).toHaveLength(1);
    await vi.waitFor(async () => expect(await server.openConnections()).toBe(0));
  });

  it('goes on where it was when it is followed again', async () => {
    const stream = streamOf('/three', { retry: {} });
    await until(stream, ({ received }) => received === 3);
    release.forEach((unsubscribe) => unsubscribe());
    const snapshot = await until(stream, ({ received }) => received === 6);
    expect(texts(snapshot)).toEqual([1, 2, 3, 4, 5, 6].map((n) => `event ${n}`));
  });
});

describe('a stream under a flood', () => {
  const frames: (() => void)[] = [];
  const schedule = (run: () => void) => {
    frames.push(run);
    return () => undefined;
  };
  const paint = () => {
    frames.splice(0).forEach((run) => run());
  };

  it('tells subscribers once per frame, and keeps its snapshot in between', () => {
    const stream = createStream('/events', { EventSource: FakeEventSource, schedule });
    const onChange = vi.fn();
    follow(stream, onChange);
    FakeEventSource.current.open();
    paint();
    onChange.mockClear();
    const before = stream.getSnapshot();
    for (let n = 1; n <= 1_000; n++) FakeEventSource.current.message(`event ${n}`, String(n));
    expect(onChange).not.toHaveBeenCalled();
    expect(stream.getSnapshot()).toBe(before);
    paint();
    expect(onChange).toHaveBeenCalledOnce();
    expect(stream.getSnapshot()).not.toBe(before);
    expect(stream.getSnapshot()).toBe(stream.getSnapshot());
    expect(before.entries).toHaveLength(0);
  });

  it('keeps the newest entries, and counts all', () => {
    const stream = createStream('/events', { EventSource: FakeEventSource, schedule, limit: 3 });
    follow(stream);
    FakeEventSource.current.open();
    for (let n = 1; n <= 1_000; n++) FakeEventSource.current.message(`event ${n}`, String(n));
    paint();
    const snapshot = stream.getSnapshot();
    expect(texts(snapshot)).toEqual(['event 998', 'event 999', 'event 1000']);
    expect(snapshot).toMatchObject({ received: 1_000, dropped: 997 });
  });

  it('tells nobody anything after the last subscriber has left', () => {
    const cancel = vi.fn();
    const options = { EventSource: FakeEventSource, schedule: () => cancel };
    const unsubscribe = createStream('/events', options).subscribe(() => undefined);
    FakeEventSource.current.open();
    unsubscribe();
    expect(cancel).toHaveBeenCalledOnce();
  });

  it('bounds the memory of large payloads', () => {
    const options = { EventSource: FakeEventSource, schedule, maxCharacters: 2_500 };
    const stream = createStream('/events', options);
    follow(stream);
    FakeEventSource.current.open();
    for (let n = 1; n <= 10; n++) FakeEventSource.current.message('x'.repeat(1_000), String(n));
    paint();
    expect(stream.getSnapshot().entries).toHaveLength(2);
  });
});
