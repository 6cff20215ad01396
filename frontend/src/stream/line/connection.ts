import { backoff, type BackoffOptions } from './backoff';
import { diagnose, isLasting, type Refusal } from './diagnose';
import { observePage } from './page';
import { controlEvents, type Frame, keyEvents, readFrame, type WireEvent } from './protocol';
import type { Cause, Status } from './status';
import { createWatchdog } from './watchdog';

/** The part of the DOM's `EventSource` that a connection uses. */
export interface EventSourceLike {
  readonly readyState: number;
  addEventListener(type: string, listener: (event: MessageEvent<string>) => void): void;
  close(): void;
}

/** Opens a line to `url`; the browser's `EventSource`, or something that behaves like it. */
export type EventSourceConstructor = new (url: string) => EventSourceLike;

/** How a connection behaves; every option has a default that fits the gateway. */
export interface ConnectionOptions {
  /** Milliseconds without any event after which the line counts as dead. Default 40000; the gateway pings every 15 s. */
  readonly staleAfter?: number;
  /** How long to wait between tries. */
  readonly retry?: BackoffOptions;
  /** Default: the global `EventSource`. */
  readonly EventSource?: EventSourceConstructor;
}

/** Is told what happens on a connection, synchronously and in order. */
export interface ConnectionObserver {
  readonly onStatus: (status: Status) => void;
  readonly onFrame: (frame: Frame) => void;
}

/** See {@link createConnection}. */
export interface Connection {
  /** Connects, and stays connected until {@link stop}. Does nothing on a connection that is started. */
  start: () => void;
  /** Closes the line for good; no socket, timer or listener stays behind. The cursor is kept for the next start. */
  stop: () => void;
  /** Tries at once rather than at the time planned; does nothing unless the connection waits. */
  retryNow: () => void;
  /**
   * Leaves the line for a new one, since its request has changed. A live connection counts as live
   * meanwhile; one that waits goes on waiting, unless it is the request itself that was refused.
   */
  reopen: () => void;
}

/** What a connection asks for, looked up anew for each line that it opens. */
export interface LineRequest {
  /** The URL, with the cursors from which to go on. */
  readonly url: () => string;
  /** Types that publishers give to their events: `EventSource` hears only names that it was told. */
  readonly events?: () => Iterable<string>;
  /** Learns why the request is refused. Default: {@link diagnose}. */
  readonly explain?: (signal: AbortSignal) => Promise<Refusal | undefined>;
}

/** `EventSource.CLOSED`; a replaced constructor need not carry the constant. */
const CLOSED = 2;

/**
 * A line to the gateway that is opened again whenever it ends, from where it ended.
 *
 * `EventSource` reconnects by itself, but only after some failures: any status other than 200, such as
 * the 502 of a proxy during a deploy, makes it give up for good. It also tells nobody when it tries
 * next, and does not notice a dead line. Two mechanisms side by side would race, so there is one, this:
 * on the first error the native line is closed, and every kind of failure takes the same way back, with
 * a known time for the next try and with the cursor in the URL: that is the request's business. (The `retry:` that the gateway sends is
 * for clients that reconnect natively: scripts cannot see it.)
 */
export function createConnection(
  { url, events = () => [], explain = (signal) => diagnose(url(), signal) }: LineRequest,
  { onStatus, onFrame }: ConnectionObserver,
  options: ConnectionOptions = {},
): Connection {
  const { staleAfter = 40_000 } = options;
  const watchdog = createWatchdog(staleAfter, () =>
    retry({ kind: status.phase === 'live' ? 'stale' : 'unreachable' }),
  );

  let status: Status = { phase: 'closed' };
  let line: EventSourceLike | undefined;
  let failures = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let diagnosis: AbortController | undefined;
  let stopObserving: (() => void) | undefined;

  function start() {
    if (status.phase !== 'closed') return;
    failures = 0;
    stopObserving = observePage({ onOnline: retryNow, onVisible: catchUp });
    connect();
  }

  function stop() {
    hangUp();
    stopObserving?.();
    setStatus({ phase: 'closed' });
  }

  function retryNow() {
    if (status.phase === 'waiting') connect();
  }

  function reopen() {
    if (status.phase === 'live') open();
    else if (status.phase === 'connecting' || isRefused(status)) connect();
  }

  /** Does what timers would have done while they were slowed down. */
  function catchUp() {
    watchdog.check();
    if (status.phase === 'waiting' && status.retryAt <= Date.now()) connect();
  }

  function connect() {
    const cause = 'cause' in status ? status.cause : undefined;
    setStatus({ phase: 'connecting', attempt: failures + 1, cause });
    open();
  }

  function open() {
    hangUp();
    const EventSource = options.EventSource ?? globalThis.EventSource;
    const opened = new EventSource(url());
    for (const name of new Set(['message', ...controlEvents, ...keyEvents, ...events()])) {
      opened.addEventListener(name, (event: MessageEvent<string>) => {
        if (opened === line) receive(event);
      });
    }
    opened.addEventListener('error', () => {
      if (opened === line) fail(opened);
    });
    line = opened;
    watchdog.start();
  }

  function receive(event: WireEvent) {
    watchdog.touch();
    const frame = readFrame(event);
    if (frame.kind === 'open') goLive();
    onFrame(frame);
    if (frame.kind !== 'close') return;
    // Nothing is wrong with the line: it needs a new token, which the next URL brings.
    if (frame.reason === 'token-expired' && status.phase === 'live') open();
    else retry({ kind: 'ended', reason: frame.reason });
  }

  function goLive() {
    failures = 0;
    if (status.phase !== 'live') setStatus({ phase: 'live', since: Date.now() });
  }

  function fail(failed: EventSourceLike) {
    if (failed.readyState === CLOSED) {
      retry({ kind: 'refused', refusal: undefined });
      void explainRefusal();
    } else {
      retry({ kind: status.phase === 'live' ? 'lost' : 'unreachable' });
    }
  }

  function retry(cause: Cause) {
    hangUp();
    failures += 1;
    wait(cause, backoff(failures, options.retry));
  }

  function wait(cause: Cause, delay: number) {
    clearTimeout(timer);
    timer = setTimeout(connect, delay);
    setStatus({ phase: 'waiting', attempt: failures + 1, retryAt: Date.now() + delay, cause });
  }

  /** Learns why the server refused. What only a person can mend is tried again at the slowest pace. */
  async function explainRefusal() {
    diagnosis = new AbortController();
    const { signal } = diagnosis;
    const refusal = await explain(signal);
    if (signal.aborted || refusal === undefined || status.phase !== 'waiting') return;
    const cause: Cause = { kind: 'refused', refusal };
    if (isLasting(refusal)) wait(cause, backoff(Infinity, options.retry));
    else setStatus({ ...status, cause });
  }

  function hangUp() {
    line?.close();
    line = undefined;
    clearTimeout(timer);
    diagnosis?.abort();
    watchdog.stop();
  }

  function setStatus(next: Status) {
    status = next;
    onStatus(next);
  }

  return { start, stop, retryNow, reopen };
}

function isRefused(status: Status): boolean {
  return status.phase === 'waiting' && status.cause.kind === 'refused';
}
