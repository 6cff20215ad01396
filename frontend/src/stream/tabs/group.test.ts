import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { eventually } from '../../../test/eventually';
import { FakeEventSource } from '../../../test/fake-event-source';
import { FakeLocks } from '../../../test/fake-locks';
import { createStreamClient, type StreamClientOptions } from '../client';
import type { Subscription } from '../subscription';
import { fingerprint } from './fingerprint';

const open = () => FakeEventSource.opened.filter((source) => source.readyState !== 2);
let subscriptions: Subscription[];

/** A tab that follows a channel; returns what it has got, and what closes it. */
function openTab(topic = 'channel:a', options: StreamClientOptions = {}, last = 0) {
  const client = createStreamClient('http://gateway', { EventSource: FakeEventSource, ...options });
  const got: string[] = [];
  const close = client.subscribe(
    [topic],
    { last },
    {
      onEntry: (entry) => got.push(entry.kind === 'message' ? entry.data : 'gap'),
    },
  );
  subscriptions.push(close);
  return { client, got, close };
}

/** The one connection, once there is one that asks for these topics. */
const connection = (query: string) =>
  eventually(() => {
    const [source, ...others] = open();
    if (!source) throw new Error('no connection');
    expect(others).toEqual([]);
    expect(decodeURIComponent(new URL(source.url).search)).toBe(query);
    return source;
  });

beforeEach(() => {
  FakeEventSource.opened = [];
  subscriptions = [];
  vi.stubGlobal('navigator', { locks: new FakeLocks() });
});

afterEach(() => {
  subscriptions.forEach((close) => close());
  vi.unstubAllGlobals();
});

describe('tabs', () => {
  it('share a connection, and its status', async () => {
    const one = openTab();
    (await connection('?channel=a')).open({ id: '0' });
    const two = openTab('channel:b');
    const shared = await connection('?channel=a&channel=b&lastEventId=channel%3Aa@0');
    shared.open({ id: 'channel:a@p=0,q=0' });
    shared.message('x', 'channel:a@p=1,q=0');
    shared.message('y', 'channel:b@p=1,q=1');
    await eventually(() => expect(two.got).toEqual(['y']));
    expect(one.got).toEqual(['x']);
    await eventually(() => expect(two.client.status.getSnapshot().status.phase).toBe('live'));
    shared.break();
    await eventually(() => expect(two.client.status.getSnapshot().status.phase).toBe('waiting'));
    two.client.retryNow();
    await connection('?channel=a&channel=b&lastEventId=channel:b@p=1,q=1');
  });

  it('lose and repeat nothing when the leader leaves', async () => {
    const leader = openTab();
    const first = await connection('?channel=a');
    first.open({ id: '0' });
    const other = openTab();
    first.message('1', '1');
    await eventually(() => expect(other.got).toEqual([])); // not before it has joined
    await eventually(() => expect(other.client.status.getSnapshot().status.phase).toBe('live'));
    first.message('2', '2');
    await eventually(() => expect(other.got).toEqual(['2']));
    first.message('3', '3');
    leader.close();
    const second = await eventually(() => {
      const source = open()[0];
      if (!source || source === first) throw new Error('no new connection');
      return source;
    });
    const from = Number(
      /@(\d)$/.exec(new URL(second.url).searchParams.get('lastEventId') ?? '')?.[1],
    );
    expect(from).toBeGreaterThanOrEqual(2);
    second.open({ id: String(from) });
    for (let n = from + 1; n <= 5; n++) second.message(String(n), String(n));
    await eventually(() => expect(other.got).toEqual(['2', '3', '4', '5']));
  });

  it('get the past over the one connection, whichever of them has it', async () => {
    const leader = openTab('stream:s', {}, 5);
    const first = await connection('?stream=s&last=5');
    first.open({ id: '0-0' });
    first.message('1', '1-0');
    const other = openTab('stream:s', {}, 5);
    await eventually(() => expect(other.got).toEqual(['1']));
    first.message('2', '2-0');
    await eventually(() => expect(other.got).toEqual(['1', '2']));
    leader.close();
    const second = await connection('?stream=s&lastEventId=stream%3As@2-0');
    second.open({ id: '2-0' });
    second.message('3', '3-0');
    const third = openTab('stream:s', {}, 5);
    await eventually(() => expect(third.got).toEqual(['1', '2', '3']));
    expect(open()).toEqual([second]);
  });

  it('take nothing from a leader before theirs, which may not know that it leads no more', async () => {
    openTab();
    const source = await connection('?channel=a');
    source.open({ id: '0' });
    const other = openTab();
    await eventually(() => expect(other.client.status.getSnapshot().status.phase).toBe('live'));
    const frame = { kind: 'gap', id: '9', topic: 'channel:a', reason: 'unknown', lost: null };
    const item = { frame, origin: 'channel:a', era: Date.now() * 2, number: 1, receivedAt: 0 };
    const deliveries = [{ lane: '#', topic: 'channel:a', item }];
    const frozen = new BroadcastChannel(`http://gateway/events ${fingerprint('')}`);
    frozen.postMessage({ kind: 'items', term: 1, deliveries, reached: {} });
    source.message('1', '1');
    await eventually(() => expect(other.got).toEqual(['1']));
    frozen.close();
  });

  it('that leave their group go on with the numbers of the next', async () => {
    const one = openTab('channel:a', { token: () => 'one' });
    (await connection('?channel=a&access_token=one')).open({ id: '7' });
    let token = 'two';
    const two = openTab('channel:a', { token: () => token });
    const second = await eventually(() => {
      const source = open()[1];
      if (!source) throw new Error('no second connection');
      return source;
    });
    second.open({ id: '7' });
    second.message('x', '8');
    await eventually(() => expect(two.got).toEqual(['x']));
    token = 'one';
    two.client.tokenChanged();
    const third = await eventually(() => {
      const source = open().find((it) => it.url.includes('lastEventId') && it !== second);
      if (!source) throw new Error('not from its own place');
      return source;
    });
    expect(decodeURIComponent(third.url)).toContain('lastEventId=channel%3Aa@8');
    third.open({ id: '8' });
    third.message('y', '9');
    await eventually(() => expect(two.got).toEqual(['x', 'y']));
    expect(one.got).toEqual([]);
  });

  it('do not share what another token opens', async () => {
    openTab('channel:a', { token: () => 'one' });
    openTab('channel:a', { token: () => 'two' });
    await eventually(() =>
      expect(open().map(({ url }) => new URL(url).searchParams.get('access_token'))).toEqual([
        'one',
        'two',
      ]),
    );
  });

  it('that cannot find each other have a connection each', async () => {
    vi.stubGlobal('navigator', {});
    openTab();
    openTab();
    await eventually(() => expect(open()).toHaveLength(2));
  });
});

it('goes on from where it is with a new token', async () => {
  let token = 'one';
  const tab = openTab('channel:a', { token: () => token });
  (await connection('?channel=a&access_token=one')).open({ id: '7' });
  token = 'two';
  tab.client.tokenChanged();
  const next = await connection('?channel=a&lastEventId=channel%3Aa@7&access_token=two');
  next.open({ id: '7' });
  next.message('x', '8');
  await eventually(() => expect(tab.got).toEqual(['x']));
});
