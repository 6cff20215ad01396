import { act, cleanup, screen } from '@testing-library/react';
import { Profiler, useEffect } from 'react';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { FakeEventSource } from '../../../../test/fake-event-source';
import { fakeClient, renderWithClient } from '../../../../test/tab';
import { createStreamClient } from '../client.js';
import { type Run, useRun, type UseRunOptions } from './use-run.js';

const topic = 'stream:run:1';
const source = () => FakeEventSource.current;

/** Lets all happen that is due before the next frame, and that. */
const frame = () => act(() => vi.advanceTimersByTimeAsync(120));

let run: Run<string | number>;

interface Props extends UseRunOptions<string | number> {
  of?: string | undefined;
}

function Answer({ of = topic, ...options }: Props) {
  const shown = useRun<string | number>(of, options);
  useEffect(() => {
    run = shown;
  });
  return <p>{`${shown.status}: ${shown.value ?? ''}`}</p>;
}

const shows = (text: string) => expect(screen.getByText(text)).toBeInTheDocument();

async function open(missing: string[] = []) {
  await frame();
  source().open({ topics: [topic], missing, id: '0' });
  await frame();
}

/** Ends the page, and opens it again in the same tab. */
async function reload() {
  cleanup();
  await frame();
  FakeEventSource.opened = [];
  renderWithClient(
    <Answer />,
    createStreamClient('http://localhost:4000', { EventSource: FakeEventSource }),
  );
  await frame();
}

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

describe('useRun', () => {
  it('shows a run to its end, with one render per frame', async () => {
    const onRender = vi.fn();
    renderWithClient(
      <Profiler id="run" onRender={onRender}>
        <Answer />
      </Profiler>,
    );
    shows('waiting:');
    await open([topic]);
    onRender.mockClear();
    for (let n = 1; n <= 500; n++) source().message('x', `${n}-0`);
    await act(() => vi.advanceTimersByTimeAsync(17));
    shows(`running: ${'x'.repeat(500)}`);
    expect(onRender).toHaveBeenCalledOnce();
    source().end('{"words":500}', '501-0.end');
    await frame();
    expect(run).toMatchObject({ status: 'done', end: '{"words":500}', error: undefined });
    expect(run.chunks).toHaveLength(500);
  });

  it('reduces the chunks', async () => {
    const longest = (value: string | number = 0, { data }: { data: string }) =>
      Math.max(Number(value), data.length);
    renderWithClient(<Answer reduce={longest} />);
    await open();
    source().message('four', '1-0');
    source().message('ab', '2-0');
    await frame();
    shows('running: 4');
  });

  it('shows that a run failed', async () => {
    renderWithClient(<Answer />);
    await open();
    source().message('a', '1-0');
    source().end('{"error":"no model"}', '2-0.end');
    await frame();
    shows('failed: a');
    expect(run.error).toBe('no model');
  });

  it('reads a run that was lost again', async () => {
    renderWithClient(<Answer />);
    await open();
    source().message('a', '1-0');
    source().emit('stream.gap', JSON.stringify({ topic, lost: 3 }), '4-0');
    source().message('e', '5-0');
    await frame();
    shows('missing: a');
    act(() => run.restart());
    shows('waiting:');
    await open();
    expect(source().url).toContain('from=start');
    for (const n of [1, 2, 3]) source().message(String(n), `${n}-0`);
    await frame();
    shows('running: 123');
  });

  it('continues after a reload', async () => {
    renderWithClient(<Answer />);
    await open();
    source().message('a', '1-0');
    await frame();
    await reload();
    shows('running: a');
    expect(source().url).toContain('lastEventId=stream:run:1@1-0');
    source().open({ id: '1-0' });
    source().message('b', '2-0');
    await frame();
    shows('running: ab');
  });

  it('does not request a run again after its end', async () => {
    renderWithClient(<Answer />);
    await open();
    source().message('a', '1-0');
    source().end('', '2-0.end');
    await frame();
    await reload();
    shows('done: a');
    expect(FakeEventSource.opened).toHaveLength(0);
  });

  it('shows that a run is gone after a reload', async () => {
    renderWithClient(<Answer />);
    await open();
    source().message('a', '1-0');
    await frame();
    await reload();
    await open([topic]);
    shows('missing: a');
  });

  it('waits without a topic, and starts over with another one', async () => {
    const client = fakeClient();
    const { rerender } = renderWithClient(<Answer of={undefined} />, client);
    rerender(<Answer of="stream:run:2" />);
    await open();
    expect(source().url).toContain('stream=run:2');
    source().message('a', '1-0');
    await frame();
    rerender(<Answer of="stream:run:3" />);
    shows('waiting:');
  });
});
