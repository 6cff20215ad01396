import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FakeEventSource } from '../../../test/fake-event-source';
import {
  createExchange,
  type Exchange,
  type ExchangeState,
  type Joined,
  type Want,
} from './exchange';

let exchange: Exchange;
let joined: Map<string, Joined>;
let items: string[];
let places: string[];
let state: ExchangeState | undefined;

const sources = () => FakeEventSource.opened.filter((source) => source.readyState !== 2);
const queryOf = (source: FakeEventSource) => decodeURIComponent(new URL(source.url).search);
const queries = () => sources().map(queryOf);
function source(index = 0) {
  const source = sources()[index];
  if (!source) throw new Error('no such connection');
  return source;
}
const settle = () => new Promise((resolve) => setTimeout(resolve));

const want = (key: string, topic: string, more: Partial<Want> = {}): Want => ({
  ...{ key, topic, every: '', last: 0, events: [], from: undefined },
  ...more,
});

const dataOf = (key: string) =>
  joined.get(key)?.items.map(({ frame }) => (frame.kind === 'message' ? frame.data : 'gap'));

beforeEach(() => {
  FakeEventSource.opened = [];
  joined = new Map();
  items = [];
  places = [];
  exchange = createExchange(
    'http://gateway/events',
    {
      onJoined: (_, one) => joined.set(one.key, one),
      onItem: (lane, topic, { frame, number }) => {
        items.push(`${lane} ${topic} ${number} ${frame.kind === 'message' ? frame.data : 'gap'}`);
      },
      onReached: (lane, { place, marks }) => {
        places.push(`${lane} ${place.id} ${marks['channel:a']?.number}`);
      },
      onState: (next) => (state = next),
    },
    { EventSource: FakeEventSource },
  );
});

afterEach(() => exchange.close());

async function follow(...wants: Want[]) {
  exchange.setWants('tab', wants);
  await settle();
}

describe('an exchange', () => {
  it('follows what several tabs want over one connection, each topic once', async () => {
    exchange.setWants('one', [want('1', 'channel:a'), want('2', 'stream:s')]);
    exchange.setWants('two', [want('3', 'channel:a')]);
    await settle();
    expect(queries()).toEqual(['?channel=a&stream=s']);
    exchange.setWants('one', []);
    await settle();
    expect(queries()).toEqual(['?channel=a']);
    exchange.setWants('two', []);
    await settle();
    expect(sources()).toEqual([]);
  });

  it('numbers what comes of each topic, through changes of the set', async () => {
    await follow(want('1', 'channel:a'), want('2', 'channel:b'));
    source().open({ id: 'channel:a@p=0,q=0' });
    source().message('x', 'channel:a@p=1,q=0');
    source().message('y', 'channel:b@p=1,q=1');
    source().message('z', 'channel:a@p=2,q=1');
    await follow(want('1', 'channel:a'));
    source().open({ id: '2' });
    source().message('!', '3');
    expect(items).toEqual([
      '# channel:a 1 x',
      '# channel:b 1 y',
      '# channel:a 2 z',
      '# channel:a 3 !',
    ]);
  });

  it.each([
    ['another interval', want('2', 'channel:b', { every: '1s' })],
    ['a topic that overlaps', want('2', 'channel:*')],
    ['more of the past than is known', want('2', 'channel:a', { last: 10 })],
  ])('opens another connection for %s', async (_, other) => {
    await follow(want('1', 'channel:a'), other);
    expect(sources()).toHaveLength(2);
  });

  it('gives who comes later the past that it has', async () => {
    await follow(want('1', 'stream:s', { last: 5 }));
    source().open({ id: '0-0' });
    for (const n of [1, 2, 3]) source().message(String(n), `${n}-0`);
    await follow(want('1', 'stream:s'), want('2', 'stream:s', { last: 2 }), want('3', 'stream:s'));
    expect(sources()).toHaveLength(1);
    expect(dataOf('2')).toEqual(['2', '3']);
    expect(dataOf('3')).toEqual([]);
    expect(joined.get('2')?.position).toMatchObject({ number: 3, place: { id: 'stream%3As@3-0' } });
  });

  it('gives who comes later the present values of keys', async () => {
    await follow(want('1', 'key:k:*'));
    source().open({ id: '0' });
    source().message('1', 'key:k:a@1');
    source().message('2', 'key:k:b@2');
    source().message('3', 'key:k:a@3');
    await follow(want('1', 'key:k:*'), want('2', 'key:k:*'));
    expect(dataOf('2')).toEqual(['2', '3']);
  });

  it('gives who comes back what came meanwhile', async () => {
    await follow(want('1', 'channel:a'));
    source().open({ id: '0' });
    const from = joined.get('1')?.position;
    source().message('x', '1');
    source().message('y', '2');
    const place = { id: 'channel%3Aa@1', covers: ['channel:a'] };
    const left = from && { ...from, number: 1, place };
    await follow(want('1', 'channel:a'), want('2', 'channel:a', { from: left }));
    expect(dataOf('2')).toEqual(['y']);
    expect(sources()).toHaveLength(1);
  });

  it('goes on for another leader, with its numbers and from its place', async () => {
    const place = { id: 'channel%3Aa@9', covers: ['channel:a'] };
    await follow(want('1', 'channel:a', { from: { era: 5, number: 40, lane: '#', place } }));
    expect(queries()).toEqual(['?channel=a&lastEventId=channel%3Aa@9']);
    source().open({ id: '9' });
    source().message('x', '10');
    expect(items).toEqual(['# channel:a 41 x']);
    // Another tab had heard more from the old leader.
    await follow(
      want('1', 'channel:a'),
      want('2', 'channel:a', { from: { era: 5, number: 43, lane: '#', place } }),
    );
    expect(joined.get('2')).toMatchObject({ items: [], position: { era: 5, number: 43 } });
  });

  it('opens a connection from a place whose sequel nobody remembers', async () => {
    await follow(want('1', 'channel:a'));
    source().open({ id: '50' });
    const place = { id: 'channel%3Aa@1', covers: ['channel:a'] };
    const from = { era: 1, number: 1, lane: '#', place };
    await follow(want('1', 'channel:a'), want('2', 'channel:a', { from }));
    expect(queries()).toEqual(['?channel=a', '?channel=a&lastEventId=channel%3Aa@1']);
    source(1).open({ id: '1' });
    source(1).message('x', '2');
    expect(items.at(-1)).toMatch(/^#\w+ channel:a 2 x$/);
  });

  it('does not take the numbers of another connection for its own', async () => {
    await follow(want('1', 'channel:a'));
    source().open({ id: '50' });
    const place = { id: 'channel%3Aa@50', covers: ['channel:a'] };
    const from = { era: Date.now() * 2, number: 7, lane: '#', place };
    await follow(want('1', 'channel:a'), want('2', 'channel:a', { from }));
    expect(queries()).toEqual(['?channel=a', '?channel=a&lastEventId=channel%3Aa@50']);
  });

  it('lets keys go on for all who were at the same place, and nobody else', async () => {
    const place = { id: 'key%3Ak%3A*@9', covers: ['key:k:*'] };
    const from = { era: 5, number: 40, lane: '#', place };
    const behind = { ...from, number: 39, place: { ...place, id: 'key%3Ak%3A*@8' } };
    await follow(want('1', 'key:k:*', { from }));
    source().open({ id: '9' });
    source().message('x', 'key:k:a@10');
    await follow(want('1', 'key:k:*', { from }), want('2', 'key:k:*', { from }));
    expect(dataOf('2')).toEqual(['x']);
    expect(sources()).toHaveLength(1);
    await follow(want('1', 'key:k:*', { from }), want('3', 'key:k:*', { from: behind }));
    expect(queries().at(-1)).toBe('?key=k:*&lastEventId=key%3Ak%3A*@8');
    await follow(want('1', 'key:k:*', { from }), want('4', 'key:k:*'));
    expect(queries().at(-1)).toBe('?key=k:*');
  });

  it('asks anew for the past with types of events that it has not heard', async () => {
    await follow(want('0', 'channel:a'), want('1', 'stream:s'));
    source().open({ id: 'channel:a@p=0,q=0-0' });
    await follow(want('0', 'channel:a'), want('2', 'stream:s', { last: 5, events: ['order'] }));
    expect(queries()).toEqual(['?channel=a&lastEventId=channel:a@p=0,q=0-0']);
    source().open({ id: '3' });
    await settle();
    expect(queries()).toEqual(['?channel=a&stream=s&last=5&lastEventId=channel%3Aa@3']);
  });

  it('begins a new era with a gap', async () => {
    await follow(want('1', 'channel:a'));
    source().open({ id: '0' });
    const before = joined.get('1')?.position.era ?? 0;
    source().emit('stream.gap', '{"topic":"channel:a","reason":"slow-consumer","lost":3}', '4');
    await follow(want('1', 'channel:a'), want('2', 'channel:a'));
    expect(joined.get('2')?.position.era).toBeGreaterThan(before);
  });

  it('tells whether it went on where the connection broke', async () => {
    await follow(want('1', 'channel:a'));
    source().open({ id: '0' });
    expect(state?.resumed).toBeUndefined();
    await follow(want('1', 'channel:a'), want('2', 'channel:b'));
    source().open({ id: '1', resumed: true });
    expect(state?.resumed).toBeUndefined(); // nothing broke
    source().break();
    exchange.retryNow();
    source().open({ id: '1', resumed: true });
    expect(state?.resumed).toBe(true);
  });

  it('tells from where to go on as soon as that is known', async () => {
    await follow(want('1', 'channel:a'));
    source().open({ id: '7' });
    expect(places).toEqual(['# channel%3Aa@7 0']);
  });

  it('measures the latency by pings', async () => {
    await follow(want('1', 'channel:a'));
    source().open({ id: '0' });
    const time = new Date(Date.now() - 1_000).toISOString();
    source().emit('stream.ping', JSON.stringify({ time }));
    expect(state?.latency).toBeGreaterThanOrEqual(1_000);
  });
});
