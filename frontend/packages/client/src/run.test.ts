import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { eventually } from '../../../test/eventually';
import { FakeEventSource } from '../../../test/fake-event-source';
import { createStreamClient, type StreamClientOptions } from './client.js';
import { type RunIterator, type RunIteratorOptions, RunLostError } from './run.js';

const topic = 'stream:run:1';
const source = () => FakeEventSource.current;

beforeEach(() => {
  FakeEventSource.opened = [];
});

afterEach(() => {
  vi.unstubAllGlobals();
});

/** Starts to read a run, and waits until it is requested. */
async function begin(options: RunIteratorOptions = {}, client: StreamClientOptions = {}) {
  const run = createStreamClient('http://gateway', {
    EventSource: FakeEventSource,
    retry: { base: 1, max: 1 },
    ...client,
  }).run(topic, options);
  const first = run.next();
  first.catch(() => undefined); // a test may look at it later
  await requested(1);
  return { run, first };
}

const requested = (count: number) =>
  eventually(() => expect(FakeEventSource.opened).toHaveLength(count));

async function textsOf(run: RunIterator) {
  const texts: string[] = [];
  for await (const { data } of run) texts.push(data);
  return texts;
}

describe('client.run', () => {
  it('iterates over a run from its first entry to its end', async () => {
    const { run, first } = await begin();
    expect(source().url).toBe('http://gateway/events?stream=run:1&from=start');
    expect(run.state.status).toBe('waiting');
    source().open({ topics: [topic], missing: [topic], id: '0' });
    source().message('a', '1-0');
    expect(await first).toEqual({
      done: false,
      value: { data: 'a', type: 'message', id: '1-0' },
    });
    expect(run.state.status).toBe('running');
    source().message('b', '2-0');
    source().end('bye', '3-0.end');
    expect(await textsOf(run)).toEqual(['b']);
    expect(run.state).toEqual({ status: 'done', end: 'bye', error: undefined });
    expect(source().readyState).toBe(2);
  });

  it.each([
    ['{"error":"no model"}', 'failed', 'no model'],
    ['{"error":{"code":7}}', 'failed', '{"code":7}'],
    ['{"words":7}', 'done', undefined],
    ['null', 'done', undefined],
  ])('returns the state after the end %s', async (end, status, error) => {
    const { first } = await begin();
    source().open({ id: '0' });
    source().end(end, '1-0.end');
    expect(await first).toEqual({ done: true, value: { status, end, error } });
  });

  it('reconnects after its last entry', async () => {
    const { run, first } = await begin();
    source().open({ id: '0' });
    source().message('a', '1-0');
    await first;
    source().break();
    await requested(2);
    expect(source().url).toContain('lastEventId=stream:run:1@1-0');
    source().open({ id: '1-0', resumed: true });
    source().message('b', '2-0');
    source().end('', '3-0.end');
    expect(await textsOf(run)).toEqual(['b']);
  });

  it('throws after the chunks that it has if the stream is gone', async () => {
    const { run, first } = await begin();
    source().open({ id: '0' });
    source().message('a', '1-0');
    await first;
    source().break();
    await requested(2);
    source().open({ topics: [topic], missing: [topic], id: '0' });
    await expect(run.next()).rejects.toBeInstanceOf(RunLostError);
    await eventually(() => expect(source().readyState).toBe(2));
  });

  it('throws if entries are lost', async () => {
    const { first } = await begin();
    source().open({ id: '0' });
    source().emit(
      'stream.gap',
      JSON.stringify({ topic, reason: 'history-expired', lost: 3 }),
      '4-0',
    );
    await expect(first).rejects.toBeInstanceOf(RunLostError);
  });

  it('waits for a stream that does not exist yet, unless it must exist', async () => {
    const { run } = await begin();
    source().open({ topics: [topic], missing: [topic], id: '0' });
    expect(run.state.status).toBe('waiting');
    FakeEventSource.opened = [];
    const { first } = await begin({ mustExist: true });
    source().open({ topics: [topic], missing: [topic], id: '0' });
    await expect(first).rejects.toBeInstanceOf(RunLostError);
  });

  it('throws the reason of an abort, and closes the connection', async () => {
    const controller = new AbortController();
    const { first } = await begin({ signal: controller.signal });
    source().open({ id: '0' });
    controller.abort(new Error('enough'));
    await expect(first).rejects.toThrow('enough');
    await eventually(() => expect(source().readyState).toBe(2));
  });

  it('closes the connection when it is left', async () => {
    const { run, first } = await begin();
    source().open({ id: '0' });
    source().message('a', '1-0');
    await first;
    await run.return({ ...run.state });
    await eventually(() => expect(source().readyState).toBe(2));
  });

  it('ends while it waits for a chunk when it is left', async () => {
    const { run, first } = await begin();
    source().open({ id: '0' });
    const value = { ...run.state };
    expect(await run.return(value)).toEqual({ done: true, value });
    expect(await first).toEqual({ done: true, value });
    await eventually(() => expect(source().readyState).toBe(2));
  });

  it('receives the types of entries that it names', async () => {
    const { first } = await begin({ events: ['tool'] });
    source().open({ id: '0' });
    source().emit('tool', '{}', '1-0');
    expect((await first).value).toMatchObject({ type: 'tool', data: '{}' });
  });

  it.each([undefined, () => 'two'])(
    'throws if the gateway refuses the topic, with onTokenExpired %s',
    async (onTokenExpired) => {
      refuseWith(403);
      const { first } = await begin({}, { token: () => 'one', onTokenExpired });
      source().refuse();
      await expect(first).rejects.toThrow('no grant');
    },
  );

  /** Starts to read a run with a token that the gateway does not accept. */
  async function beginRefused() {
    refuseWith(401);
    let renew!: (token: string) => void;
    const onTokenExpired = () => new Promise<string>((resolve) => (renew = resolve));
    const { run, first } = await begin({}, { token: () => 'one', onTokenExpired });
    source().refuse();
    await requested(2);
    source().refuse();
    await eventually(() => expect(run.state.error).toBe('no grant'));
    return { first, renew: (token: string) => renew(token) };
  }

  it('waits for another token', async () => {
    const { first, renew } = await beginRefused();
    renew('two');
    await eventually(() => expect(source().url).toContain('access_token=two'));
    source().open({ id: '0' });
    source().message('a', '1-0');
    expect((await first).value).toMatchObject({ data: 'a' });
  });

  it('throws if there is no other token', async () => {
    const { first, renew } = await beginRefused();
    renew('one');
    await expect(first).rejects.toThrow('no grant');
  });
});

/** The gateway refuses each request. */
function refuseWith(status: number) {
  const headers = { 'Content-Type': 'application/problem+json' };
  const refusal = () => new Response('{"detail":"no grant"}', { status, headers });
  vi.stubGlobal('fetch', () => Promise.resolve(refusal()));
}
