import { act, screen } from '@testing-library/react';
import { Profiler, StrictMode } from 'react';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { FakeEventSource } from '../../../../test/fake-event-source';
import { fakeClient, renderWithClient } from '../../../../test/tab';
import type { StandardSchemaV1 } from '../views/schema.js';
import { useLatest } from './use-latest.js';
import { useSeries } from './use-series.js';
import { useStream, type UseStreamOptions } from './use-stream.js';
import { useStreamStatus } from './use-stream-status.js';

const openLines = () => FakeEventSource.opened.filter((line) => line.readyState !== 2);

/** Lets all happen that is due before the next picture of a flood, and that. */
const picture = () => act(() => vi.advanceTimersByTimeAsync(120));

async function live(id = '0') {
  await picture();
  FakeEventSource.current.open({ id });
  await picture();
}

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

const topics = ['channel:a'];

function Received() {
  const { received, status } = useStream(topics);
  return <p>{`${status.phase}: ${received}`}</p>;
}

const positive: StandardSchemaV1<unknown, number> = {
  '~standard': {
    version: 1,
    vendor: 'test',
    validate: (value) =>
      typeof value === 'number' && value > 0
        ? { value }
        : { issues: [{ message: 'not a positive number' }] },
  },
};

describe('useStream', () => {
  it('shows new events, with one render per frame', async () => {
    const onRender = vi.fn();
    renderWithClient(
      <Profiler id="stream" onRender={onRender}>
        <Received />
      </Profiler>,
    );
    expect(screen.getByText('connecting: 0')).toBeInTheDocument();
    await live();
    onRender.mockClear();
    for (let n = 1; n <= 500; n++) FakeEventSource.current.message('1', String(n));
    await picture();
    expect(screen.getByText('live: 500')).toBeInTheDocument();
    expect(onRender).toHaveBeenCalledOnce();
  });

  it('keeps one line in StrictMode, for any number of components, and none after the last', async () => {
    const { unmount } = renderWithClient(
      <StrictMode>
        <Received />
        <Received />
      </StrictMode>,
    );
    await live();
    expect(openLines()).toHaveLength(1);
    unmount();
    await picture();
    expect(openLines()).toHaveLength(0);
  });

  it('counts values that the schema rejects, and continues', async () => {
    function Values() {
      const { entries, invalid } = useStream('channel:a', { schema: positive });
      const texts = entries.map((entry) =>
        entry.kind === 'gap' ? 'gap' : String(entry.value ?? entry.invalid),
      );
      return <p>{`${texts.join(', ')} (${invalid})`}</p>;
    }
    renderWithClient(<Values />);
    await live();
    ['1', '-1', 'x', '2'].forEach((data, n) => FakeEventSource.current.message(data, `${n}`));
    await picture();
    expect(screen.getByText('1, not a positive number, not JSON, 2 (2)')).toBeInTheDocument();
  });

  it('shows all entries with infinite bounds', async () => {
    function All() {
      const { entries } = useStream('stream:a', {
        ...{ last: Infinity, limit: Infinity, maxCharacters: Infinity },
      });
      return <p>{entries.map((entry) => (entry.kind === 'gap' ? 'gap' : entry.data)).join()}</p>;
    }
    renderWithClient(<All />);
    await live('0-0');
    expect(FakeEventSource.current.url).toContain('from=start');
    for (const n of [1, 2, 3]) FakeEventSource.current.message(`${n}`, `${n}-0`);
    await picture();
    expect(screen.getByText('1,2,3')).toBeInTheDocument();
  });

  it('has no option from', () => {
    // @ts-expect-error -- it has remember instead
    const options: UseStreamOptions<unknown> = { from: 'start' };
    expect(options).toBeDefined();
  });

  it('resumes when it is mounted again', async () => {
    const client = fakeClient();
    const { unmount } = renderWithClient(<Received />, client);
    await live();
    FakeEventSource.current.message('x', '7');
    await picture();
    unmount();
    await picture();
    renderWithClient(<Received />, client);
    await picture();
    expect(FakeEventSource.current.url).toContain('lastEventId=channel:a@7');
    FakeEventSource.current.open({ id: '7', resumed: true });
    FakeEventSource.current.message('y', '8');
    await picture();
    expect(screen.getByText('live: 2')).toBeInTheDocument();
  });
});

describe('useLatest', () => {
  it('has the newest value of each key, and marks deleted keys', async () => {
    function Prices() {
      const latest = useLatest<number>('key:price:*');
      return (
        <p>{[...latest].map(([name, { value, type }]) => `${name} ${value ?? type}`).join(', ')}</p>
      );
    }
    renderWithClient(<Prices />);
    await live('x@0');
    FakeEventSource.current.message('1', 'key:price:a@1');
    FakeEventSource.current.message('2', 'key:price:b@2');
    FakeEventSource.current.message('3', 'key:price:a@3');
    FakeEventSource.current.emit('key.deleted', 'null', 'key:price:b@4');
    await picture();
    expect(screen.getByText('key:price:a 3, key:price:b key.deleted')).toBeInTheDocument();
    // A key that was deleted during the gap is not sent again after it.
    FakeEventSource.current.emit('stream.gap', '{"topic":"key:price:*"}', 'key:price:*@5');
    FakeEventSource.current.message('4', 'key:price:b@6');
    await picture();
    expect(screen.getByText('key:price:b 4')).toBeInTheDocument();
  });
});

describe('useSeries', () => {
  it('puts numbers into columns, and nothing at a gap', async () => {
    const select = (value: Record<string, number>) => value;
    function Chart() {
      const { names, data, gaps } = useSeries('channel:a', select);
      return <p>{JSON.stringify([names, data.slice(1), gaps.length])}</p>;
    }
    renderWithClient(<Chart />);
    await live();
    FakeEventSource.current.message('{"x":1}', '1');
    FakeEventSource.current.emit('stream.gap', '{"topic":"channel:a","lost":2}', '2');
    FakeEventSource.current.message('{"x":2,"y":3}', '3');
    await picture();
    expect(screen.getByText('[["x","y"],[[1,null,2],[null,null,3]],1]')).toBeInTheDocument();
  });
});

describe('useStreamStatus', () => {
  it('returns the state of the connection, and the number of missed events', async () => {
    function Status() {
      const { status, missed, gaps, resumed } = useStreamStatus();
      return <p>{`${status.phase} ${missed} ${gaps} ${resumed}`}</p>;
    }
    renderWithClient(
      <>
        <Status />
        <Received />
      </>,
    );
    await live();
    expect(screen.getByText('live 0 0 undefined')).toBeInTheDocument();
    FakeEventSource.current.emit('stream.gap', '{"topic":"channel:a","lost":12}', '2');
    FakeEventSource.current.break();
    await picture();
    expect(screen.getByText('waiting 12 1 undefined')).toBeInTheDocument();
    await act(() => vi.advanceTimersByTimeAsync(2_000));
    FakeEventSource.current.open({ id: '2', resumed: true });
    await picture();
    expect(screen.getByText('live 12 1 true')).toBeInTheDocument();
  });
});
