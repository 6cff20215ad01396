import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { eventually } from '../../../test/eventually';
import { FakeEventSource } from '../../../test/fake-event-source';
import type { Refusal } from './diagnose';
import { createLine, type Line, type LineOptions } from './line';
import type { Status } from './status';

let line: Line;
let data: string[];
let refused: ReadonlyMap<string, Refusal>;
let status: Status | undefined;

const source = () => FakeEventSource.current;
const lines = () => FakeEventSource.opened.length;

/** What the last line asks for, the names of topics without their kind. */
function asked() {
  const query = new URL(source().url).searchParams;
  return {
    topics: [...query].filter(([name]) => name === 'channel').map(([, topic]) => topic),
    last: query.get('last'),
    ids: query.getAll('lastEventId'),
  };
}

const open = (id: string) => source().open({ topics: [], id });

/** Lets the changes of this turn take effect. */
const settle = () => new Promise((resolve) => setTimeout(resolve));

function start(every = '', options: LineOptions = {}) {
  const observer = {
    onStatus: (next: Status) => (status = next),
    onFrame: (frame: { kind: string; data?: string }, topic: string) => {
      if (frame.kind === 'message') data.push(`${topic} ${frame.data ?? ''}`);
    },
    onRefused: (next: ReadonlyMap<string, Refusal>) => (refused = next),
  };
  line = createLine('http://gateway/events', every, observer, {
    EventSource: FakeEventSource,
    retry: { random: () => 0 },
    ...options,
  });
}

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
  data = [];
  refused = new Map();
  start();
});

afterEach(() => {
  line.close();
  vi.unstubAllGlobals();
});

describe('a line', () => {
  it('opens once for all changes of a turn', async () => {
    line.follow('channel:a', 0);
    line.follow('channel:b', 0);
    line.follow('channel:c', 0);
    line.unfollow('channel:b');
    expect(lines()).toBe(0);
    await settle();
    expect(lines()).toBe(1);
    expect(asked()).toEqual({ topics: ['a', 'c'], last: null, ids: [] });
  });

  it('goes on from the newest id when its topics change', async () => {
    line.follow('channel:a', 0);
    await settle();
    open('1');
    source().message('x', '7');
    line.follow('channel:b', 0);
    await settle();
    expect(asked()).toEqual({ topics: ['a', 'b'], last: null, ids: ['channel%3Aa@7'] });

    open('channel:a@p=7,q=0');
    source().message('y', 'channel:b@p=7,q=1');
    line.unfollow('channel:a');
    await settle();
    expect(asked()).toEqual({ topics: ['b'], last: null, ids: ['channel:b@p=7,q=1'] });
    expect(data).toEqual(['channel:a x', 'channel:b y']);
  });

  it('stays as it is when what is gone is back in the same turn', async () => {
    line.follow('channel:a', 0);
    await settle();
    open('1');
    const place = line.placeOf('channel:a');
    line.unfollow('channel:a');
    line.follow('channel:a', 0, place);
    await settle();
    expect(lines()).toBe(1);
  });

  it('goes on in one step after another where topics want more or less of the past', async () => {
    line.follow('channel:a', 0);
    line.follow('channel:b', 100);
    await settle();
    expect(asked()).toEqual({ topics: ['a'], last: null, ids: [] });
    open('1');
    await settle();
    expect(asked()).toEqual({ topics: ['a', 'b'], last: '100', ids: ['channel%3Aa@1'] });
    open('channel:a@p=1,q=0');
    await settle();
    expect(lines()).toBe(2);
  });

  it('does not interrupt a request that is under way for what comes with the next one', async () => {
    line.follow('channel:a', 0);
    await settle();
    line.follow('channel:b', 100);
    await settle();
    expect(lines()).toBe(1);
    open('1');
    await settle();
    expect(asked().topics).toEqual(['a', 'b']);
  });

  it('tells by which topic an event came', async () => {
    line.follow('channel:a', 0);
    line.follow('channel:prices.*', 0);
    await settle();
    open('channel:a@p=1,q=1');
    source().message('1', 'channel:prices.BTC@p=1,q=2');
    source().message('2', 'channel:a@p=2,q=2');
    expect(data).toEqual(['channel:prices.* 1', 'channel:a 2']);
  });

  it('closes with its last topic, and opens again where that was left', async () => {
    line.follow('channel:a', 0);
    await settle();
    open('5');
    const place = line.placeOf('channel:a');
    line.unfollow('channel:a');
    await settle();
    expect(source().readyState).toBe(2);
    line.follow('channel:a', 10, place);
    await settle();
    expect(asked()).toEqual({ topics: ['a'], last: null, ids: ['channel%3Aa@5'] });
  });

  it('asks for the token with each request, and for conflation', async () => {
    let token = 'one';
    line.close();
    start('250ms', { token: () => token });
    line.follow('key:price:*', 0);
    await settle();
    expect(source().url).toBe('http://gateway/events?key=price%3A*&every=250ms&access_token=one');
    open('1');
    token = 'two';
    source().emit('stream.close', '{"reason":"token-expired"}');
    expect(new URL(source().url).searchParams.get('access_token')).toBe('two');
  });

  it('hears types that somebody asks for later', async () => {
    line.follow('channel:a', 0);
    await settle();
    open('1');
    line.hear(['order']);
    await settle();
    expect(asked().ids).toEqual(['channel%3Aa@1']);
    source().open({ id: '1' });
    source().emit('order', 'x', '2');
    expect(data).toEqual(['channel:a x']);
  });
});

describe('a line that the gateway refuses', () => {
  it('is not held up by what was refused before', async () => {
    vi.stubGlobal('fetch', refusing('secret'));
    line.follow('channel:secret', 200);
    await settle();
    source().refuse();
    await eventually(() => expect([...refused.keys()]).toEqual(['channel:secret']));
    line.follow('channel:a', 0);
    await settle();
    expect(asked().topics).toEqual(['a']);
  });

  it('leaves out the topics that are to blame, and serves the others', async () => {
    vi.stubGlobal('fetch', refusing('secret'));
    line.follow('channel:a', 0);
    line.follow('channel:secret', 0);
    await settle();
    source().refuse();
    await eventually(() => expect(asked().topics).toEqual(['a']));
    open('1');
    expect(status?.phase).toBe('live');
    expect([...refused]).toEqual([
      ['channel:secret', { status: 403, detail: 'secret is not open.' }],
    ]);

    vi.stubGlobal('fetch', refusing());
    line.retryNow();
    await settle();
    expect(asked()).toEqual({ topics: ['a', 'secret'], last: null, ids: ['channel%3Aa@1'] });
    expect(refused.size).toBe(0);
  });

  it('asks again for what it refused when nothing else is left', async () => {
    vi.stubGlobal('fetch', refusing('secret'));
    line.follow('channel:a', 0);
    line.follow('channel:secret', 0);
    await settle();
    source().refuse();
    await eventually(() => expect(asked().topics).toEqual(['a']));
    open('1');
    line.unfollow('channel:a');
    await settle();
    expect(asked().topics).toEqual(['secret']);
    source().refuse();
    await eventually(() => expect(refused.size).toBe(1));
    expect(status?.phase).toBe('waiting');
  });

  it('waits where all topics are to blame', async () => {
    vi.stubGlobal('fetch', refusing('secret'));
    line.follow('channel:secret', 0);
    await settle();
    source().refuse();
    await eventually(() => expect(refused.size).toBe(1));
    expect(status).toMatchObject({ phase: 'waiting', cause: { kind: 'refused' } });
    expect(lines()).toBe(1);
    line.follow('channel:a', 0);
    await settle();
    source().refuse();
    await eventually(() => expect(asked().topics).toEqual(['a']));
  });
});
