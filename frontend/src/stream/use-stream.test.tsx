import { act, render, screen } from '@testing-library/react';
import { Profiler, StrictMode } from 'react';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { FakeEventSource } from '../../test/fake-event-source';
import { createStream, type Stream } from './stream';
import { useStream } from './use-stream';

let frames: (() => void)[];
let stream: Stream;

beforeEach(() => {
  frames = [];
  FakeEventSource.opened = [];
  stream = createStream('/events', {
    EventSource: FakeEventSource,
    schedule: (run) => {
      frames.push(run);
      return () => undefined;
    },
  });
});

function paint() {
  act(() => {
    frames.splice(0).forEach((run) => run());
  });
}

const openLines = () => FakeEventSource.opened.filter((line) => line.readyState !== 2);

function Received() {
  const { received, status } = useStream(stream);
  return <p>{`${status.phase}: ${received}`}</p>;
}

describe('useStream', () => {
  it('shows what arrives, with one render per frame', () => {
    const onRender = vi.fn();
    render(
      <Profiler id="stream" onRender={onRender}>
        <Received />
      </Profiler>,
    );
    expect(screen.getByText('connecting: 0')).toBeInTheDocument();
    FakeEventSource.current.open();
    paint();
    onRender.mockClear();
    for (let n = 0; n < 500; n++) FakeEventSource.current.message('x', String(n));
    paint();
    expect(screen.getByText('live: 500')).toBeInTheDocument();
    expect(onRender).toHaveBeenCalledOnce();
  });

  it('keeps one line in StrictMode, for any number of components, and none after the last', () => {
    const { unmount } = render(
      <StrictMode>
        <Received />
        <Received />
      </StrictMode>,
    );
    expect(openLines()).toHaveLength(1);
    unmount();
    expect(openLines()).toHaveLength(0);
  });
});
