import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { FakeEventSource } from '../../../../test/fake-event-source';
import {
  createMultiplexer,
  type Multiplexer,
  type Report,
  type Request,
  type SharedState,
  type Tab,
} from './multiplexer.js';

type Joined = Report & { kind: 'joined' };

let multiplexer: Multiplexer;
let joined: Map<number, Joined>;
let items: string[];
let cursors: string[];
let answers: Report[];
let state: SharedState | undefined;

const tab: Tab = (report) => {
  if (report.kind === 'joined') joined.set(report.key, report);
  else if (report.kind === 'state') state = report.state;
  else if (report.kind === 'cursor') cursors.push(`${report.topics.join()} ${report.cursor.id}`);
  else if (report.kind === 'item') {
    const { frame, number } = report.item;
    items.push(`${report.topic} ${number} ${frame.kind === 'message' ? frame.data : 'gap'}`);
  } else answers.push(report);
};
const otherTab: Tab = (report) => tab(report);

const sources = () => FakeEventSource.opened.filter((source) => source.readyState !== 2);
const queryOf = (source: FakeEventSource) => decodeURIComponent(new URL(source.url).search);
const queries = () => sources().map(queryOf);
function source(index = 0) {
  const source = sources()[index];
  if (!source) throw new Error('no such connection');
  return source;
}
/** Waits until changes are requested, or until requests move to another connection. */
const settle = () => vi.advanceTimersByTimeAsync(50);

const ask = (key: number, topic: string, more: Partial<Request> = {}): Request => ({
  ...{ key, topic, every: '', last: 0, types: [], from: undefined },
  ...more,
});

const textsOf = (key: number) =>
  joined.get(key)?.items.map(({ frame }) => (frame.kind === 'message' ? frame.data : 'gap'));

const fresh = () =>
  createMultiplexer('http://gateway/events', '', {
    EventSource: FakeEventSource,
    retry: { random: () => 0 },
  });

beforeEach(() => {
  vi.useFakeTimers();
  FakeEventSource.opened = [];
  joined = new Map();
  [items, cursors, answers, state] = [[], [], [], undefined];
  multiplexer = fresh();
});

afterEach(() => {
  multiplexer.setRequests(tab, []);
  multiplexer.setRequests(otherTab, []);
  expect(sources()).toEqual([]);
  vi.useRealTimers();
});

async function request(...requests: Request[]) {
  multiplexer.setRequests(tab, requests);
  await settle();
}

/** The position of a tab that has received `number` events. */
const position = (number: number, id: string, topic = 'channel:a', era = 'e ') => ({
  offset: { era, number },
  cursor: { id, covers: [topic] },
});

describe('a multiplexer', () => {
  it('follows the topics of several tabs over one connection, each once', async () => {
    multiplexer.setRequests(tab, [ask(1, 'channel:a'), ask(2, 'stream:s')]);
    multiplexer.setRequests(otherTab, [ask(1, 'channel:a')]);
    await settle();
    expect(queries()).toEqual(['?channel=a&stream=s']);
    source().open({ id: 'channel:a@1,2' });
    multiplexer.setRequests(tab, []);
    await settle();
    expect(queries().at(-1)).toBe('?channel=a&lastEventId=channel:a@1,2');
    multiplexer.setRequests(otherTab, []);
    expect(sources()).toEqual([]);
  });

  it.each([
    ['another interval', ask(2, 'channel:b', { every: '1s' })],
    ['a topic that overlaps', ask(2, 'channel:*')],
    ['more of the past than is known', ask(2, 'channel:a', { last: 10 })],
    ['topics that make the URL too long', ask(2, `channel:${'x'.repeat(2_100)}`)],
  ])('opens another connection for %s', async (_, other) => {
    await request(ask(1, 'channel:a'), other);
    expect(sources()).toHaveLength(2);
  });

  it('replaces a request of a tab on the same connection', async () => {
    await request(ask(1, 'channel:a'), ask(2, 'channel:b'));
    source().open({ id: '1' });
    await request(ask(3, 'channel:a', { last: 10 }), ask(2, 'channel:b'));
    source(1).open({ id: '1' });
    await settle();
    source(1).open({ id: '1' });
    expect(queries()).toEqual(['?channel=b&channel=a&last=10&lastEventId=channel:b@1']);
  });

  it('sends a later request the past that it has', async () => {
    await request(ask(1, 'stream:s', { last: 5 }));
    source().open({ id: '0-0' });
    for (const n of [1, 2, 3]) source().message(String(n), `${n}-0`);
    await request(ask(1, 'stream:s'), ask(2, 'stream:s', { last: 2 }), ask(3, 'stream:s'));
    expect(sources()).toHaveLength(1);
    expect(textsOf(2)).toEqual(['2', '3']);
    expect(textsOf(3)).toEqual([]);
    expect(joined.get(2)?.position.cursor?.id).toBe('stream:s@3-0');
  });

  it('sends a request without the past none that another one asked for', async () => {
    await request(
      ask(1, 'stream:s', { last: 5 }),
      ask(2, 'stream:s', { last: 3 }),
      ask(3, 'stream:s'),
    );
    expect(queries()).toEqual(['?stream=s&last=5', '?stream=s']);
    const channels = [1, 2, 3].map((key) => joined.get(key)?.channel);
    expect(channels).toEqual(['1', '1', '2']);
    await request(ask(4, '', { last: 5 }), ask(5, ''));
    expect(queries()).toEqual(['?last=5', '']);
    await request(ask(7, 'key:k', { last: 5 }), ask(8, 'key:k'));
    expect(queries()).toEqual(['?key=k&last=5']);
  });

  it('sends a later request the whole of a run', async () => {
    const run = { last: Infinity };
    await request(ask(1, 'stream:run:1', run));
    source().open({ id: '0' });
    source().message('a', '1-0');
    multiplexer.setRequests(otherTab, [ask(2, 'stream:run:1', run)]);
    expect(textsOf(2)).toEqual(['a']);
    source().end('{}', '2-0.end');
    await request(ask(1, 'stream:run:1', run), ask(3, 'stream:run:1', run));
    expect(textsOf(3)).toEqual(['a', '{}']);
    expect(FakeEventSource.opened).toHaveLength(1);
    expect(state?.channels.get('1')?.status.phase).toBe('closed');
  });

  it('reads a run of which it has not kept all once more', async () => {
    const run = { last: Infinity };
    await request(ask(1, 'stream:run:1', run));
    source().open({ id: '0' });
    for (let n = 1; n <= 4_097; n++) source().message(String(n), `${n}-0`);
    await request(ask(1, 'stream:run:1', run), ask(2, 'stream:run:1', run));
    expect(queries()).toEqual(['?stream=run:1&from=start', '?stream=run:1&from=start']);
    source(1).open({ id: '0' });
    items = [];
    source(1).message('1', '1-0');
    expect(items).toEqual(['stream:run:1 1 1']);
  });

  it('does not take a later part of a stream for the whole of it', async () => {
    await request(ask(1, 'stream:run:1'));
    source().open({ id: '5-0' });
    await request(ask(1, 'stream:run:1'), ask(2, 'stream:run:1', { last: Infinity }));
    expect(queries()).toEqual(['?stream=run:1', '?stream=run:1&from=start']);
  });

  it('sends a later request the current values of keys', async () => {
    await request(ask(1, 'key:k:*'));
    source().open({ id: '0' });
    source().message('1', 'key:k:a@1');
    source().message('2', 'key:k:b@2');
    source().message('3', 'key:k:a@3');
    await request(ask(1, 'key:k:*'), ask(2, 'key:k:*'));
    expect(textsOf(2)).toEqual(['2', '3']);
  });

  it('sends a tab that returns the events since it left', async () => {
    await request(ask(1, 'channel:a'));
    source().open({ id: '0' });
    source().message('x', '1');
    const { era = '' } = joined.get(1)?.position.offset ?? {};
    source().message('y', '2');
    const from = position(1, 'channel:a@1', 'channel:a', era);
    await request(ask(1, 'channel:a'), ask(2, 'channel:a', { from }));
    expect(textsOf(2)).toEqual(['y']);
    expect(sources()).toHaveLength(1);
  });

  it('continues for the tabs of another worker, with their numbers', async () => {
    const from = position(40, 'channel:a@9');
    await request(ask(1, 'channel:a', { from }));
    expect(queries()).toEqual(['?channel=a&lastEventId=channel:a@9']);
    source().open({ id: '9' });
    source().message('x', '10');
    source().message('y', '11');
    expect(items).toEqual(['channel:a 41 x', 'channel:a 42 y']);
    multiplexer.setRequests(otherTab, [ask(5, 'channel:a', { from })]);
    expect(textsOf(5)).toEqual(['x', 'y']);
    multiplexer.setRequests(otherTab, [
      ask(6, 'channel:a', { from: position(41, 'channel:a@10') }),
    ]);
    expect(textsOf(6)).toEqual(['y']);
    expect(sources()).toHaveLength(1);
  });

  it.each([
    ['behind', 40, 38],
    ['ahead', 38, 40],
  ])('makes one of two connections when the one that is %s has caught up', async (_, a, b) => {
    await request(ask(1, 'channel:a', { from: position(a, `channel:a@${a}`) }));
    multiplexer.setRequests(otherTab, [
      ask(2, 'channel:a', { from: position(b, `channel:a@${b}`) }),
    ]);
    await settle();
    expect(sources()).toHaveLength(2);
    source(0).open({ id: String(a) });
    source(1).open({ id: String(b) });
    const later = a < b ? 0 : 1;
    const behind = source(later);
    for (const n of [39, 40]) behind.message(String(n), String(n));
    await settle();
    expect(sources()).toHaveLength(1);
    source().message('41', '41');
    expect(items.slice(-3).map((text) => text.split(' ')[2])).toEqual(['40', '41', '41']);
  });

  /** Two tabs that resume a topic from cursors of an earlier worker, which differ. */
  async function resumeTwice(topic: string, one: string, other: string, more: Request[] = []) {
    const from = (id: string, number: number) => position(number, `${topic}@${id}`, topic, one);
    multiplexer.setRequests(tab, [...more, ask(1, topic, { from: from(one, 40) })]);
    multiplexer.setRequests(otherTab, [ask(2, topic, { from: from(other, 38) })]);
    await settle();
    expect(sources()).toHaveLength(2);
  }
  const dataOf = () => items.map((text) => text.split(' ')[2]);

  it('makes one of two connections for a key as soon as they are at the same cursor', async () => {
    await resumeTwice('key:k', 'c9', 'c8');
    source(0).open({ id: 'c9' });
    source(1).open({ id: 'c8' });
    await settle();
    expect(sources()).toHaveLength(2);
    source(1).message('v9', 'c9');
    await settle();
    expect(queries()).toEqual(['?key=k&lastEventId=key:k@c9']);
    expect(textsOf(2)).toEqual([]);
    source().message('v10', 'c10');
    expect(dataOf()).toEqual(['v9', 'v10', 'v10']);
  });

  it('makes one of two connections if a key has not changed between their cursors', async () => {
    await resumeTwice('key:k:*', '9', '8');
    source(0).open({ id: 'key:k:*@9' });
    source(1).open({ id: 'key:k:*@9' });
    await settle();
    expect(sources()).toHaveLength(1);
  });

  it('makes one of two connections with other topics when they have the same value', async () => {
    await resumeTwice('key:k', '1,c9', 'c8', [ask(3, 'channel:b')]);
    source(0).open({ id: 'channel:b@1,c9' });
    source(1).open({ id: 'c8' });
    source(1).message('v9', 'c9');
    await settle();
    expect(sources()).toHaveLength(2);
    source(0).message('v10', 'key:k@1,c10');
    await settle();
    expect(sources()).toHaveLength(2);
    source(1).message('v10', 'c10');
    await settle();
    expect(queries()).toEqual([expect.stringContaining('channel=b')]);
    source().message('v11', 'key:k@1,c11');
    expect(dataOf()).toEqual(['v9', 'v10', 'v10', 'v11', 'v11']);
  });

  it('makes one of two connections for a glob when the present values have arrived', async () => {
    multiplexer.setRequests(tab, [ask(1, 'key:k:*'), ask(3, 'channel:b')]);
    await settle();
    source().open({ id: 'channel:b@1,5_' });
    for (const name of 'ab') source().message(name, `key:k:${name}@1,5_`);
    source().message('c', 'key:k:c@1,5');
    await vi.advanceTimersByTimeAsync(1_000);
    multiplexer.setRequests(otherTab, [
      ask(2, 'key:k:*', { from: position(38, 'key:k:*@4', 'key:k:*') }),
    ]);
    await settle();
    source(0).message('a2', 'key:k:a@1,6');
    source(1).open({ id: 'key:k:*@4' });
    source(1).message('a2', 'key:k:a@4');
    await settle();
    // The value of b may still be on the way to the second tab.
    expect(sources()).toHaveLength(2);
    source(1).message('b', 'key:k:b@6');
    for (const [index, id] of ['1,7', '7'].entries()) {
      await settle();
      expect(sources()).toHaveLength(2);
      source(index).message('a3', `key:k:a@${id}`);
    }
    await settle();
    expect(sources()).toHaveLength(1);
    items = [];
    source().message('c2', 'key:k:c@1,8');
    expect(dataOf()).toEqual(['c2', 'c2']);
  });

  it('keeps two connections while present values arrive, which have one cursor', async () => {
    multiplexer.setRequests(tab, [ask(1, 'key:k:*')]);
    await settle();
    source().open({ id: 'key:k:*@5_' });
    for (const name of 'ab') source().message(name, `key:k:${name}@5_`);
    multiplexer.setRequests(otherTab, [
      ask(2, 'key:k:*', { from: position(0, 'key:k:*@5_', 'key:k:*') }),
    ]);
    await settle();
    source(1).open({ id: 'key:k:*@5_' });
    await settle();
    expect(sources()).toHaveLength(2);
    source(0).message('c', 'key:k:c@5');
    for (const name of 'ab') source(1).message(name, `key:k:${name}@5_`);
    // The second tab cannot move to a connection with other topics now either: it would receive a and b again.
    multiplexer.setRequests(tab, [ask(3, 'channel:b'), ask(4, 'channel:c')]);
    await settle();
    source(2).open({ id: 'channel:b@1' });
    await settle();
    expect(queries()).toEqual(['?key=k:*&lastEventId=key:k:*@5_', '?channel=b&channel=c']);
    source(0).message('c', 'key:k:c@5');
    await settle(); // until the request moves
    await settle(); // until the connection is replaced
    expect(queries().at(-1)).toBe(
      '?channel=b&channel=c&key=k:*&lastEventId=channel:b@1&lastEventId=key:k:*@5',
    );
    source(1).open({ id: 'channel:b@1,5' });
    expect(sources()).toHaveLength(1);
    expect(dataOf()).toEqual(['a', 'b', 'c', 'a', 'b', 'c']);
  });

  it('makes one of two connections after one of them has received more of the past', async () => {
    await request(ask(1, 'stream:s'));
    source().open({ id: '3-0' });
    multiplexer.setRequests(otherTab, [ask(2, 'stream:s', { last: 2 })]);
    await settle();
    source(1).open({ id: '1-0' });
    for (const n of [2, 3]) source(1).message(String(n), `${n}-0`);
    await settle();
    expect(queries()).toEqual(['?stream=s']);
    source().message('4', '4-0');
    expect(dataOf()).toEqual(['2', '3', '4', '4']);
  });

  it('makes one of two connections when they no longer follow the same topic', async () => {
    await resumeTwice('channel:a', '9', '8', [ask(3, 'channel:b')]);
    source(0).open({ id: 'channel:a@1,9' });
    source(1).open({ id: '8' });
    source(1).message('x', '8.5');
    await request(ask(3, 'channel:b'));
    expect(queries().at(-1)).toBe(
      '?channel=b&channel=a&lastEventId=channel:a@1,9&lastEventId=channel:a@8.5',
    );
    source(1).open({ id: 'channel:a@1,8.5' });
    source().message('y', 'channel:a@1,9');
    expect(items).toEqual(['channel:a 39 x', 'channel:a 40 y']);
    expect(sources()).toHaveLength(1);
  });

  it('moves no request to a connection that is not open', async () => {
    await resumeTwice('key:k', 'c9', 'c8');
    source(1).open({ id: 'c9' });
    await settle();
    expect(sources()).toHaveLength(1);
    source(0).message('v10', 'c10');
    expect(dataOf()).toEqual(['v10', 'v10']);
  });

  it('numbers the events from where it adds types in a way of its own', async () => {
    await request(ask(1, 'channel:a', { from: position(3, 'channel:a@3') }));
    source().open({ id: '3' });
    multiplexer.setRequests(otherTab, [ask(2, 'channel:b', { types: ['order'] })]);
    source().message('4', '4');
    await settle();
    source(1).open({ id: 'channel:a@4' });
    source().emit('order', '5', 'channel:a@5');
    for (let n = 6; n <= 4_200; n++) source().message(String(n), `channel:a@${n}`);
    await request(
      ask(1, 'channel:a', { from: position(3, 'channel:a@3') }),
      ask(3, 'channel:a', { from: position(3, 'channel:a@3') }),
    );
    expect(sources()).toHaveLength(2);
    source(1).open({ id: '3' });
    items = [];
    for (const n of [4, 6, 7]) source(1).message(String(n), String(n));
    expect(items).toEqual(['channel:a 4 4', 'channel:a 5 6', 'channel:a 6 7']);
    for (let n = 8; n <= 4_201; n++) source(1).message(String(n), String(n));
    expect(sources()).toHaveLength(2);
  });

  it('does not move a request to a connection that has skipped its event types', async () => {
    const old = [ask(1, 'channel:a', { from: position(2, 'channel:a@2') }), ask(2, 'channel:b')];
    await request(...old);
    source().open({ id: 'channel:a@2' });
    for (const n of [3, 4, 5]) source().message(String(n), `channel:a@${n}`);
    const from = position(3, 'channel:a@3');
    await request(...old, ask(3, 'channel:a', { from, types: ['order'] }));
    expect(sources()).toHaveLength(2);
    source(1).open({ id: '3' });
    source(0).message('6', 'channel:a@6');
    expect(sources()).toHaveLength(2);
    items = [];
    source(1).emit('order', 'o', '4');
    expect(items).toEqual(['channel:a 4 o']);
  });

  it('opens a connection from a cursor whose events are not kept', async () => {
    await request(ask(1, 'channel:a'));
    source().open({ id: '50' });
    await request(ask(1, 'channel:a'), ask(2, 'channel:a', { from: position(1, 'channel:a@1') }));
    expect(queries()).toEqual(['?channel=a', '?channel=a&lastEventId=channel:a@1']);
  });

  it('resumes keys for all tabs at the same cursor, and for no others', async () => {
    const at = (id: string) => position(40, `key:k:*@${id}`, 'key:k:*');
    await request(ask(1, 'key:k:*', { from: at('9') }));
    source().open({ id: '9' });
    source().message('x', 'key:k:a@10');
    await request(ask(1, 'key:k:*'), ask(2, 'key:k:*', { from: at('9') }));
    expect(textsOf(2)).toEqual(['x']);
    expect(sources()).toHaveLength(1);
    await request(ask(1, 'key:k:*'), ask(3, 'key:k:*', { from: at('8') }));
    expect(queries().at(-1)).toBe('?key=k:*&lastEventId=key:k:*@8');
  });

  it('asks again for the past with event types that it has not received', async () => {
    await request(ask(0, 'channel:a'), ask(1, 'stream:s'));
    source().open({ id: 'channel:a@0,0' });
    const from = joined.get(1)?.position;
    source().message('1', 'stream:s@0,1');
    await request(
      ask(0, 'channel:a'),
      ask(1, 'stream:s'),
      ask(2, 'stream:s', {
        types: ['order'],
        from: from && { ...from, cursor: position(0, 'x').cursor },
      }),
    );
    expect(sources()).toHaveLength(2);
  });

  it('answers requests for the default topics, and keeps their connection', async () => {
    multiplexer.setRequests(tab, [ask(1, ''), ask(2, 'stream:s', { last: 9 })]);
    await settle();
    expect(queries()).toEqual(['']);
    source().open({ topics: ['channel:a', 'stream:s'], id: 'channel:a@1' });
    expect(answers).toEqual([
      {
        ...{ kind: 'defaults', key: 1, topics: ['channel:a', 'stream:s'] },
        positions: [
          expect.objectContaining({
            cursor: expect.objectContaining({ id: 'channel:a@1' }) as unknown,
          }),
          expect.objectContaining({
            cursor: expect.objectContaining({ id: 'channel:a@1' }) as unknown,
          }),
        ],
      },
    ]);
    await settle();
    expect(queries()).toEqual(['', '?stream=s&last=9']);
    source().message('x', 'channel:a@2');
    const [answer] = answers;
    const positions = answer?.kind === 'defaults' ? answer.positions : [];
    await request(
      ask(3, 'channel:a', { from: positions[0] }),
      ask(4, 'stream:s', { from: positions[1] }),
    );
    expect(textsOf(3)).toEqual(['x']);
    expect(queries()).toEqual(['']);
  });

  it('moves the default topics to the connection that there is', async () => {
    await request(ask(1, 'channel:b'));
    source().open({ id: '1' });
    await request(ask(1, 'channel:b'), ask(2, ''));
    source(1).open({ topics: ['channel:a'], id: '5' });
    const [answer] = answers;
    const positions = answer?.kind === 'defaults' ? answer.positions : [];
    await request(ask(1, 'channel:b'), ask(3, 'channel:a', { from: positions[0] }));
    await settle();
    expect(queries()).toEqual([
      '?channel=b',
      '?channel=b&channel=a&lastEventId=channel:b@1&lastEventId=channel:a@5',
    ]);
    source(1).open({ id: 'channel:b@1,5' });
    expect(sources()).toHaveLength(1);
  });

  it('reports whether nothing was missed, and the latency', async () => {
    await request(ask(1, 'channel:a'));
    source().open({ id: '0' });
    const channel = () => state?.channels.values().next().value;
    expect(channel()?.resumed).toBeUndefined();
    source().break();
    multiplexer.retryNow();
    source().open({ id: '1', resumed: true });
    expect(channel()?.resumed).toBe(true);
    const time = new Date(Date.now() - 1_000).toISOString();
    source().emit('stream.ping', JSON.stringify({ time }));
    expect(channel()?.latency).toBe(1_000);
  });

  it('reports the cursors', async () => {
    await request(ask(1, 'channel:a'));
    source().open({ id: '7' });
    multiplexer.setRequests(otherTab, [ask(2, 'channel:b')]);
    multiplexer.reportCursors(tab);
    expect(cursors).toEqual(['channel:a channel:a@7']);
    multiplexer.reportCursors(otherTab);
    expect(cursors).toEqual(['channel:a channel:a@7']);
  });
});
