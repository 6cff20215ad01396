import { beforeEach, describe, expect, it, vi } from 'vitest';
import { FakeEventSource } from '../../../test/fake-event-source';
import { createStreamClient } from './client.js';
import type { RunChunk, RunState } from './run.js';

const topic = 'stream:run:1';

function fakeClient() {
  FakeEventSource.opened = [];
  return createStreamClient('http://localhost:4000', { EventSource: FakeEventSource });
}

function follow() {
  const chunks: string[] = [];
  const states: string[] = [];
  const stop = fakeClient().followRun(
    topic,
    {},
    {
      onChunk: ({ data }: RunChunk) => chunks.push(data),
      onState: ({ status, error }: RunState) => states.push(error ? `${status}: ${error}` : status),
    },
  );
  return { chunks, states, stop };
}

const open = (missing: readonly string[] = []) => {
  FakeEventSource.current.accept();
  const data = JSON.stringify({ topics: [topic], resumed: false, node: 'n', missing });
  FakeEventSource.current.emit('stream.open', data, '0');
};

beforeEach(() => {
  vi.restoreAllMocks();
});

describe('followRun', () => {
  it('reads a run from its first entry to its end, once', () => {
    const { chunks, states } = follow();
    expect(FakeEventSource.current.url).toBe(
      'http://localhost:4000/events?stream=run%3A1&from=start',
    );
    open([topic]);
    expect(states).toEqual([]);
    FakeEventSource.current.message('a', '1');
    FakeEventSource.current.message('b', '2');
    FakeEventSource.current.emit('stream.end', '{"words":2}', '3.end');
    expect(chunks).toEqual(['a', 'b']);
    expect(states).toEqual(['running', 'done']);
    expect(FakeEventSource.current.readyState).toBe(2);
  });

  it('fails if the end says so', () => {
    const { states } = follow();
    open();
    FakeEventSource.current.emit('stream.end', '{"error":"no model"}', '1.end');
    expect(states).toEqual(['failed: no model']);
  });

  it('is missing if the stream is gone after some entries', () => {
    const { states } = follow();
    open();
    FakeEventSource.current.message('a', '1');
    FakeEventSource.current.break();
    open([topic]);
    expect(states).toEqual(['running', 'missing']);
  });

  it('asks again after a refusal, from the last entry', async () => {
    vi.useFakeTimers();
    vi.stubGlobal(
      'fetch',
      vi.fn(() => Promise.resolve(new Response('', { status: 503 }))),
    );
    const { states, stop } = follow();
    open();
    FakeEventSource.current.message('a', '1');
    FakeEventSource.current.refuse();
    await vi.advanceTimersByTimeAsync(5_000);
    expect(FakeEventSource.opened).toHaveLength(2);
    expect(FakeEventSource.current.url).toContain('lastEventId=1');
    expect(states).toEqual(['running', 'running: HTTP status 503']);
    stop();
    vi.useRealTimers();
  });
});

describe('run', () => {
  it('iterates over the chunks, and returns the data of the end', async () => {
    const run = fakeClient().run(topic);
    const first = run.next();
    open();
    FakeEventSource.current.message('a', '1');
    expect((await first).value).toMatchObject({ data: 'a', type: 'message' });
    const last = run.next();
    FakeEventSource.current.emit('stream.end', 'bye', '2.end');
    expect(await last).toEqual({ done: true, value: 'bye' });
  });

  it('throws if the run fails, and closes the connection if it is left', async () => {
    const failing = fakeClient().run(topic);
    const next = failing.next();
    open();
    FakeEventSource.current.emit('stream.end', '{"error":"broken"}', '1.end');
    await expect(next).rejects.toThrow('broken');

    const controller = new AbortController();
    const aborted = fakeClient().run(topic, { signal: controller.signal }).next();
    open();
    controller.abort();
    await expect(aborted).rejects.toThrow();
    expect(FakeEventSource.current.readyState).toBe(2);
  });
});
