import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { eventually } from '../../../../test/eventually';
import { FakeEventSource } from '../../../../test/fake-event-source';
import type { Refusal } from './diagnose.js';
import type { Item } from './history.js';
import { type Channel, type ChannelState, createChannel, type TopicRequest } from './channel.js';
import type { ConnectionOptions } from './connection.js';
import type { Cursor } from './plan.js';

let channel: Channel;
let data: string[];
let state: ChannelState | undefined;
let tokenRefusals: Refusal[];
let defaults: readonly string[] | undefined;
let token: string;

const source = () => FakeEventSource.current;
const lines = () => FakeEventSource.opened.length;

/** The query of the last request, with topics without their kind. */
function asked() {
  const query = new URL(source().url).searchParams;
  return {
    topics: [...query].filter(([name]) => name === 'channel').map(([, topic]) => topic),
    last: query.get('last'),
    ids: query.getAll('lastEventId'),
  };
}

const open = (id: string) => source().open({ topics: [], id });

/** Waits until the changes of this moment take effect. */
const settle = () => vi.advanceTimersByTimeAsync(50);

function follow(topic: string, more: Partial<TopicRequest> & { cursor?: Cursor } = {}) {
  const { cursor, ...rest } = more;
  const from = cursor && { offset: { era: 'x ', number: 0 }, cursor };
  channel.follow({ topic, last: 0, types: [], from, ...rest });
}

function start(every = '', options: ConnectionOptions = {}) {
  const observer = {
    onState: (next: ChannelState) => (state = next),
    onDefaults: (topics: readonly string[]) => (defaults = topics),
    onItem: (topic: string, { frame }: Item) => {
      data.push(`${topic} ${frame.kind === 'message' ? frame.data : 'gap'}`);
    },
    onTokenRefused: (refusal: Refusal) => {
      tokenRefusals.push(refusal);
      token = '';
      channel.tokenChanged();
    },
  };
  channel = createChannel('http://gateway/events', every, observer, () => token, {
    EventSource: FakeEventSource,
    retry: { random: () => 0 },
    ...options,
  });
}

const refused = () => [...(state?.refused ?? [])];

/** A gateway that refuses some topics. */
function refusing(...forbidden: string[]) {
  return vi.fn((url: string) => {
    const named = new URL(url).searchParams.getAll('channel');
    const guilty = named.find((name) => forbidden.includes(name));
    if (guilty === undefined) {
      return Promise.resolve(
        new Response('', { headers: { 'Content-Type': 'text/event-stream' } }),
      );
    }
    const headers = { 'Content-Type': 'application/problem+json' };
    const detail = `${guilty} is not open.`;
    return Promise.resolve(new Response(JSON.stringify({ detail }), { status: 403, headers }));
  });
}

beforeEach(() => {
  FakeEventSource.opened = [];
  vi.useFakeTimers();
  [data, tokenRefusals, token, defaults, state] = [[], [], '', undefined, undefined];
  start();
});

afterEach(() => {
  channel.close();
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

describe('a channel', () => {
  it('opens once for all changes of a turn', async () => {
    follow('channel:a');
    follow('channel:b');
    follow('channel:c');
    channel.unfollow('channel:b');
    expect(lines()).toBe(0);
    await settle();
    expect(lines()).toBe(1);
    expect(asked()).toEqual({ topics: ['a', 'c'], last: null, ids: [] });
  });

  it('resumes from the newest id when its topics change', async () => {
    follow('channel:a');
    await settle();
    open('1');
    source().message('x', '7');
    follow('channel:b');
    await settle();
    expect(asked()).toEqual({ topics: ['a', 'b'], last: null, ids: ['channel:a@7'] });

    open('channel:a@p=7,q=0');
    source().message('y', 'channel:b@p=7,q=1');
    channel.unfollow('channel:a');
    await settle();
    expect(asked()).toEqual({ topics: ['b'], last: null, ids: ['channel:b@p=7,q=1'] });
    expect(data).toEqual(['channel:a x', 'channel:b y']);
  });

  it('does not change if a removed topic is back in the same turn', async () => {
    follow('channel:a');
    await settle();
    open('1');
    const { cursor } = channel.positionOf('channel:a');
    channel.unfollow('channel:a');
    follow('channel:a', cursor && { cursor });
    await settle();
    expect(lines()).toBe(1);
  });

  it('requests a topic that returns after its request was dropped', async () => {
    follow('channel:a');
    await settle();
    open('1');
    follow('channel:b');
    await settle();
    channel.unfollow('channel:b');
    await settle();
    expect(source().readyState).toBe(2);
    follow('channel:b');
    await settle();
    expect(lines()).toBe(3);
    expect(asked().topics).toEqual(['a', 'b']);
  });

  it('resumes in steps if topics start with different numbers of events', async () => {
    follow('channel:a');
    follow('channel:b', { last: 100 });
    await settle();
    expect(asked()).toEqual({ topics: ['a'], last: null, ids: [] });
    open('1');
    await settle();
    expect(asked()).toEqual({ topics: ['a', 'b'], last: '100', ids: ['channel:a@1'] });
    open('channel:a@p=1,q=0');
    await settle();
    expect(lines()).toBe(2);
  });

  it('does not interrupt a pending request for topics of the next one', async () => {
    follow('channel:a');
    await settle();
    follow('channel:b', { last: 100 });
    await settle();
    expect(lines()).toBe(1);
    open('1');
    await settle();
    expect(asked().topics).toEqual(['a', 'b']);
  });

  it('reports the topic of an event', async () => {
    follow('channel:a');
    follow('channel:prices.*');
    await settle();
    open('channel:a@p=1,q=1');
    source().message('1', 'channel:prices.BTC@p=1,q=2');
    source().message('2', 'channel:a@p=2,q=2');
    expect(data).toEqual(['channel:prices.* 1', 'channel:a 2']);
  });

  it('closes with its last topic, and opens again where that was left', async () => {
    follow('channel:a');
    await settle();
    open('5');
    const { cursor } = channel.positionOf('channel:a');
    channel.unfollow('channel:a');
    await settle();
    expect(source().readyState).toBe(2);
    follow('channel:a', { last: 10, ...(cursor && { cursor }) });
    await settle();
    expect(asked()).toEqual({ topics: ['a'], last: null, ids: ['channel:a@5'] });
  });

  it('sends the token and the interval with each request', async () => {
    channel.close();
    token = 'one';
    start('250ms');
    follow('key:price:*');
    await settle();
    expect(source().url).toBe('http://gateway/events?key=price:*&every=250ms&access_token=one');
  });

  it('keeps the old request until the new one is open, and passes each event on once', async () => {
    follow('channel:a');
    await settle();
    open('1');
    const old = source();
    old.message('x', '2');
    follow('channel:b');
    await settle();
    expect(asked()).toEqual({ topics: ['a', 'b'], last: null, ids: ['channel:a@2'] });
    old.message('y', '3');
    old.message('z', '4');
    expect(old.readyState).not.toBe(2);
    expect(state?.status.phase).toBe('live');
    open('channel:a@2,b');
    expect(old.readyState).toBe(2);
    const before = channel.positionOf('channel:a').cursor;
    source().message('y', 'channel:a@3,b');
    expect(channel.positionOf('channel:a').cursor).toBe(before); // it is not at `z` yet
    expect(channel.positionOf('channel:b').cursor?.id).toBe('channel:a@3,b');
    source().message('z', 'channel:a@4,b');
    source().message('!', 'channel:a@5,b');
    expect(data).toEqual(['x', 'y', 'z', '!'].map((text) => `channel:a ${text}`));
    expect(channel.positionOf('channel:a').cursor?.id).toBe('channel:a@5,b');
  });

  it('starts the replacement again after a gap on the old connection', async () => {
    follow('channel:a');
    await settle();
    open('1');
    const old = source();
    follow('channel:b');
    await settle();
    const first = source();
    old.emit('stream.gap', '{"topic":"channel:a","lost":3}', '5');
    await settle();
    expect(first.readyState).toBe(2);
    expect(asked().ids).toEqual(['channel:a@5']);
    open('channel:a@5,b');
    source().message('x', 'channel:a@6,b');
    expect(data).toEqual(['channel:a gap', 'channel:a x']);
  });

  it('starts from its own cursor if the replacement lacks events that it has', async () => {
    follow('channel:a');
    await settle();
    open('1');
    const old = source();
    follow('channel:b');
    await settle();
    old.message('x', '2');
    open('channel:a@1,b');
    source().emit('stream.gap', '{"topic":"channel:a","lost":1}', 'channel:a@2,b');
    expect(asked().ids).toEqual(['channel:a@1,b', 'channel:a@2']);
    expect(data).toEqual(['channel:a x']);
  });

  it('does not repeat the value of a key that the old request has delivered', async () => {
    follow('key:k:*');
    await settle();
    open('1');
    const old = source();
    follow('channel:b');
    await settle();
    old.message('7', 'key:k:x@2');
    open('key:k:*@1,b');
    source().message('7', 'key:k:x@2,b');
    source().message('8', 'key:k:x@3,b');
    source().message('7', 'key:k:x@4,b');
    expect(data).toEqual(['key:k:* 7', 'key:k:* 8', 'key:k:* 7']);
  });

  it('keeps the old request while the new one fails, and tries again', async () => {
    follow('channel:a');
    await settle();
    open('1');
    const old = source();
    follow('channel:b');
    await settle();
    source().break();
    old.message('x', '2');
    expect(state?.status.phase).toBe('live');
    await vi.advanceTimersByTimeAsync(1_000);
    expect(asked()).toEqual({ topics: ['a', 'b'], last: null, ids: ['channel:a@2'] });
    expect(data).toEqual(['channel:a x']);
  });

  it('makes one change of all that happen within 50 ms', async () => {
    follow('channel:a');
    await vi.advanceTimersByTimeAsync(40);
    follow('channel:b');
    await vi.advanceTimersByTimeAsync(10);
    expect(lines()).toBe(1);
    expect(asked().topics).toEqual(['a', 'b']);
  });

  it('follows the default topics on the connection that asked for them', async () => {
    follow('');
    follow('channel:b', { last: 5 });
    await settle();
    expect(source().url).toBe('http://gateway/events');
    source().open({ topics: ['channel:a', 'stream:s'], id: 'channel:a@1' });
    expect(defaults).toEqual(['channel:a', 'stream:s']);
    source().message('x', 'stream:s@2');
    await settle();
    expect(source().url).toContain('?channel=a&stream=s&channel=b&last=5&lastEventId=stream:s@2');
    expect(data).toEqual(['stream:s x']);
  });

  it('follows without the token if it is not accepted', async () => {
    const headers = { 'Content-Type': 'application/problem+json' };
    const body = JSON.stringify({ detail: 'The token is invalid.' });
    vi.stubGlobal('fetch', () => Promise.resolve(new Response(body, { status: 401, headers })));
    token = 'bad';
    follow('channel:a');
    await settle();
    source().refuse();
    await eventually(() => expect(source().url).toBe('http://gateway/events?channel=a'));
    expect(tokenRefusals).toEqual([{ status: 401, detail: 'The token is invalid.' }]);
  });

  it('has a limit for the length of its URL', () => {
    const topic = (n: number) => `channel:${'x'.repeat(200)}${n}`;
    let count = 0;
    for (; count < 64 && channel.fits(topic(count)); count++) follow(topic(count));
    expect(count).toBeGreaterThan(10);
    expect(count).toBeLessThan(20);
  });

  it('adds event types without an interruption', async () => {
    follow('channel:a');
    await settle();
    open('1');
    const old = source();
    follow('channel:b', { types: ['order'] });
    await settle();
    expect(asked()).toEqual({ topics: ['a', 'b'], last: null, ids: ['channel:a@1'] });
    expect(old.readyState).not.toBe(2);
    old.message('x', '3');
    open('channel:a@1,b');
    source().emit('order', 'earlier than x', 'channel:a@2,b');
    expect(channel.positionOf('channel:a').cursor?.id).toBe('channel:a@3');
    source().message('x', 'channel:a@3,b');
    source().emit('order', 'o', 'channel:a@4,b');
    source().message('y', 'channel:a@5,b');
    expect(data).toEqual(['channel:a x', 'channel:a o', 'channel:a y']);
    expect(channel.positionOf('channel:a').cursor?.id).toBe('channel:a@5,b');
  });

  it('continues a topic with more event types from where it was, and no other one', async () => {
    follow('channel:a');
    follow('channel:b');
    await settle();
    open('channel:a@1,1');
    const old = source();
    channel.hear('channel:a', ['order']);
    await vi.advanceTimersByTimeAsync(0);
    expect(asked()).toEqual({ topics: ['a', 'b'], last: null, ids: ['channel:a@1,1'] });
    old.message('2', 'channel:a@3,1');
    old.message('x', 'channel:b@3,2');
    expect(data).toEqual(['channel:b x']);
    open('channel:a@1,1');
    source().emit('order', '1', 'channel:a@2,1');
    source().message('2', 'channel:a@3,1');
    source().message('x', 'channel:b@3,2');
    source().message('y', 'channel:b@3,3');
    expect(data).toEqual(['channel:b x', 'channel:a 1', 'channel:a 2', 'channel:b y']);
    expect(channel.positionOf('channel:b').cursor?.id).toBe('channel:b@3,3');
    channel.hear('channel:a', ['message', 'order']);
    await settle();
    expect(lines()).toBe(2);
  });

  it('resumes a topic from where it waits for more event types', async () => {
    follow('channel:a');
    await settle();
    open('1');
    channel.hear('channel:a', ['order']);
    source().message('2', '3');
    source().break();
    channel.retryNow();
    expect(asked().ids).toEqual(['channel:a@1']);
    open('1');
    source().emit('order', '1', '2');
    source().message('2', '3');
    expect(data).toEqual(['channel:a 1', 'channel:a 2']);
    await settle();
    expect(lines()).toBe(2);
  });

  it('listens to types that are added later', async () => {
    follow('channel:a');
    await settle();
    open('1');
    channel.hear('channel:a', ['order']);
    await settle();
    expect(asked().ids).toEqual(['channel:a@1']);
    source().open({ id: '1' });
    source().emit('order', 'x', '2');
    expect(data).toEqual(['channel:a x']);
  });
});

describe('a channel that the gateway refuses', () => {
  it('is not delayed by topics that were refused', async () => {
    vi.stubGlobal('fetch', refusing('secret'));
    follow('channel:secret', { last: 200 });
    await settle();
    source().refuse();
    await eventually(() => expect(refused().map(([topic]) => topic)).toEqual(['channel:secret']));
    follow('channel:a');
    await settle();
    expect(asked().topics).toEqual(['a']);
  });

  it('leaves out the topics that are to blame, and serves the others', async () => {
    vi.stubGlobal('fetch', refusing('secret'));
    follow('channel:a');
    follow('channel:secret');
    await settle();
    source().refuse();
    await eventually(() => expect(asked().topics).toEqual(['a']));
    open('1');
    expect(state?.status.phase).toBe('live');
    expect(refused()).toEqual([['channel:secret', { status: 403, detail: 'secret is not open.' }]]);

    vi.stubGlobal('fetch', refusing());
    channel.retryNow();
    await settle();
    expect(asked()).toEqual({ topics: ['a', 'secret'], last: null, ids: ['channel:a@1'] });
    expect(refused().length).toBe(0);
  });

  it('requests refused topics again if no other is left', async () => {
    vi.stubGlobal('fetch', refusing('secret'));
    follow('channel:a');
    follow('channel:secret');
    await settle();
    source().refuse();
    await eventually(() => expect(asked().topics).toEqual(['a']));
    open('1');
    channel.unfollow('channel:a');
    await settle();
    expect(asked().topics).toEqual(['secret']);
    source().refuse();
    await eventually(() => expect(refused().length).toBe(1));
    expect(state?.status.phase).toBe('waiting');
  });

  it('waits where all topics are to blame', async () => {
    vi.stubGlobal('fetch', refusing('secret'));
    follow('channel:secret');
    await settle();
    source().refuse();
    await eventually(() => expect(refused().length).toBe(1));
    expect(state?.status).toMatchObject({ phase: 'waiting', cause: { kind: 'refused' } });
    expect(lines()).toBe(1);
    follow('channel:a');
    await settle();
    source().refuse();
    await eventually(() => expect(asked().topics).toEqual(['a']));
  });
});

describe('a stream that ends', () => {
  const run = 'stream:run:1';
  const query = () => decodeURIComponent(new URL(source().url).search);
  const noContent = () => Promise.resolve(new Response(null, { status: 204 }));

  it('is read from its first entry, and closes the connection after its end', async () => {
    follow(run, { last: Infinity });
    await settle();
    expect(query()).toBe('?stream=run:1&from=start');
    open('0');
    source().message('a', '1-0');
    source().end('{}', '2-0.end');
    expect(source().readyState).toBe(2);
    expect(state?.status.phase).toBe('closed');
    expect([...(state?.ended ?? [])]).toEqual([run]);
    expect(channel.positionOf(run)).toMatchObject({
      cursor: { id: 'stream:run:1@2-0.end' },
      isEnded: true,
    });
    await vi.runAllTimersAsync();
    expect(lines()).toBe(1);
    expect(data).toEqual([`${run} a`, `${run} {}`]);
  });

  it('leaves the connection to the other topics, and is not asked for again', async () => {
    follow(run, { last: Infinity });
    follow('channel:a');
    await settle();
    open('start');
    source().end('{}', 'stream:run:1@1-0.end');
    source().message('x', 'channel:a@2');
    channel.unfollow(run);
    await settle();
    expect([lines(), state?.status.phase, state?.ended.size]).toEqual([1, 'live', 0]);
    source().break();
    channel.retryNow();
    expect(query()).toBe('?channel=a&lastEventId=channel:a@2');
  });

  it('makes room for the topics that its connection does not have', async () => {
    follow(run, { last: Infinity });
    follow('stream:logs');
    await settle();
    expect(query()).toBe('?stream=run:1&from=start');
    open('0');
    source().end('{}', '1-0.end');
    expect(query()).toBe('?stream=logs');
    expect(state?.status.phase).toBe('live');
    open('5-0');
    await settle();
    expect(lines()).toBe(2);
  });

  it('is over if the cursor says so', async () => {
    const cursor = { id: `${run}@2-0.end`, covers: [run] };
    const from = { offset: { era: 'x ', number: 2 }, cursor, isEnded: true };
    channel.follow({ topic: run, last: Infinity, types: [], from });
    await vi.runAllTimersAsync();
    expect([lines(), state?.status.phase]).toEqual([0, 'closed']);
    expect([...(state?.ended ?? [])]).toEqual([run]);
    follow('channel:a');
    await settle();
    expect(query()).toBe('?channel=a');
  });

  it('is over if the gateway says so', async () => {
    vi.stubGlobal('fetch', vi.fn(noContent));
    follow(run, { cursor: { id: `${run}@2-0`, covers: [run] } });
    await settle();
    source().refuse();
    await eventually(() => expect(state?.ended.has(run)).toBe(true));
    await vi.runAllTimersAsync();
    expect([lines(), state?.status.phase]).toEqual([1, 'closed']);
  });

  it('is followed from its first entry again if that is asked for', async () => {
    follow(run, { last: Infinity });
    await settle();
    open('0');
    source().end('{}', '1-0.end');
    channel.unfollow(run);
    follow(run, { last: Infinity });
    await settle();
    expect(query()).toBe('?stream=run:1&from=start');
    expect(lines()).toBe(2);
    expect(state?.ended.size).toBe(0);
  });

  it('is missing until its first entry arrives', async () => {
    follow(run, { last: Infinity });
    await settle();
    source().open({ topics: [run], missing: [run], id: '0' });
    expect([...(state?.missing ?? [])]).toEqual([run]);
    source().message('a', '1-0');
    expect(state?.missing.size).toBe(0);
  });

  it('is not missing if an entry arrived after the request was sent', async () => {
    follow(run, { last: Infinity });
    await settle();
    source().open({ topics: [run], missing: [run], id: '0' });
    follow('channel:a');
    await settle();
    FakeEventSource.opened[0]?.message('a', '1-0');
    source().open({ missing: [run], id: 'stream:run:1@0' });
    expect([...(state?.missing ?? [])]).toEqual([]);
  });

  it('does not count its end twice when a request replaces another', async () => {
    follow(run, { last: Infinity });
    await settle();
    open('0');
    follow('channel:a');
    await settle();
    const [before, after] = FakeEventSource.opened;
    before?.message('a', '1-0');
    after?.open({ id: 'stream:run:1@0' });
    after?.message('a', 'stream:run:1@1-0');
    after?.end('{}', 'stream:run:1@2-0.end');
    expect(data).toEqual([`${run} a`, `${run} {}`]);
    expect(state?.status.phase).toBe('live');
  });
});
