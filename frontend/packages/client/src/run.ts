import { backoff } from './connection/backoff.js';
import type { EventSourceConstructor } from './connection/connection.js';
import { diagnose, isLasting } from './connection/diagnose.js';
import { controlEvents, readFrame } from './connection/protocol.js';

/** One entry of a run. */
export interface RunChunk {
  /** The cursor after the entry. */
  readonly id: string;
  /** `message`, or the type that the producer gave. */
  readonly type: string;
  readonly data: string;
}

/**
 * `waiting`: no entry yet; `running`; `done` and `failed`: the run has ended, `failed` if the data of its end is
 * an object with `error`; `missing`: the stream no longer exists, so the rest of the run is lost.
 */
export type RunStatus = 'waiting' | 'running' | 'done' | 'failed' | 'missing';

/** The state of a run, apart from its chunks. */
export interface RunState {
  readonly status: RunStatus;
  /** The data of the end, once the run has ended. */
  readonly end: string | undefined;
  /** Why the run failed, or cannot be followed. */
  readonly error: string | undefined;
}

/** See {@link followRun}. */
export interface RunObserver {
  readonly onChunk: (chunk: RunChunk) => void;
  readonly onState: (state: RunState) => void;
}

/** See {@link followRun}. */
export interface RunOptions {
  /** Types of entries besides `message`: an `EventSource` receives only those that it knows. */
  readonly types?: readonly string[] | undefined;
}

const END = 'stream.end';
const CLOSED = 2;

/** The state before the first entry. */
export const waitingRun: RunState = { status: 'waiting', end: undefined, error: undefined };

/**
 * Follows a finite stream from its first entry to its end, over an `EventSource` for it alone. After a lost
 * connection it continues after the last entry.
 *
 * @param url - returns the URL of the request
 * @returns the function that stops it
 */
export function followRun(
  url: (lastEventId: string | undefined) => string,
  topic: string,
  { types = [] }: RunOptions,
  observer: RunObserver,
  EventSource: EventSourceConstructor = globalThis.EventSource,
): () => void {
  const stopped = new AbortController();
  let source: InstanceType<EventSourceConstructor> | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let lastId: string | undefined;
  let state = waitingRun;
  let failures = 0;

  function setState(next: Partial<RunState>) {
    state = { ...state, ...next };
    observer.onState(state);
  }

  function stop() {
    stopped.abort();
    clearTimeout(timer);
    source?.close();
  }

  function connect() {
    const request = url(lastId);
    const opened = new EventSource(request);
    source = opened;
    for (const name of new Set(['message', ...controlEvents, END, ...types])) {
      opened.addEventListener(name, (event) => receive(event));
    }
    opened.addEventListener('error', () => {
      // An EventSource reconnects, except after a refusal.
      if (opened.readyState === CLOSED && !stopped.signal.aborted) void refused(request);
    });
  }

  function receive(event: { type: string; data: string; lastEventId: string }) {
    const frame = readFrame(event);
    failures = 0;
    if (frame.kind === 'open' && lastId !== undefined && frame.missing.includes(topic)) {
      setState({ status: 'missing' });
      stop();
    } else if (frame.kind === 'message') {
      lastId = frame.id;
      if (frame.type === END) end(frame.data);
      else chunk(frame);
    }
  }

  function chunk({ id, type, data }: RunChunk) {
    if (state.status === 'waiting') setState({ status: 'running', error: undefined });
    observer.onChunk({ id, type, data });
  }

  function end(data: string) {
    const error = errorOf(data);
    setState({ status: error === undefined ? 'done' : 'failed', end: data, error });
    stop();
  }

  async function refused(request: string) {
    const refusal = await diagnose(request, stopped.signal);
    if (stopped.signal.aborted) return;
    if (refusal) setState({ error: refusal.detail ?? `HTTP status ${refusal.status}` });
    failures += 1;
    const wait = refusal && isLasting(refusal) ? Infinity : failures;
    timer = setTimeout(connect, backoff(wait));
  }

  connect();
  return stop;
}

function errorOf(data: string): string | undefined {
  try {
    const value: unknown = JSON.parse(data);
    if (typeof value !== 'object' || value === null || !('error' in value)) return undefined;
    return typeof value.error === 'string' ? value.error : JSON.stringify(value.error);
  } catch {
    return undefined;
  }
}

/**
 * The chunks of a run, for `for await`. The iteration ends after the end of the run, and throws if the run
 * failed or is lost.
 */
export async function* iterateRun(
  follow: (observer: RunObserver) => () => void,
  signal: AbortSignal | undefined,
): AsyncGenerator<RunChunk, string | undefined> {
  const chunks: RunChunk[] = [];
  let state = waitingRun;
  let wake: (() => void) | undefined;
  const stop = follow({
    onChunk: (chunk) => {
      chunks.push(chunk);
      wake?.();
    },
    onState: (next) => {
      state = next;
      wake?.();
    },
  });
  const onAbort = () => wake?.();
  signal?.addEventListener('abort', onAbort);
  try {
    for (;;) {
      signal?.throwIfAborted();
      const chunk = chunks.shift();
      if (chunk) yield chunk;
      else if (state.status === 'done') return state.end;
      else if (state.status === 'failed') throw new Error(state.error);
      else if (state.status === 'missing') throw new Error('The run no longer exists.');
      else {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    }
  } finally {
    signal?.removeEventListener('abort', onAbort);
    stop();
  }
}
