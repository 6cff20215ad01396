import { backoff, type BackoffOptions } from './backoff.js';
import { isLasting, type Refusal } from './diagnose.js';
import { controlEvents, type Frame, keyEvents, readFrame } from './protocol.js';
import type { Cause, Status } from './status.js';
import { createWatchdog } from './watchdog.js';

/** The part of the DOM's `EventSource` that a connection uses. */
export interface EventSourceLike {
  readonly readyState: number;
  addEventListener(type: string, listener: (event: MessageEvent<string>) => void): void;
  close(): void;
}

/** Requests `url`; the browser's `EventSource`, or a class that behaves like it. */
export type EventSourceConstructor = new (url: string) => EventSourceLike;

/** How a connection behaves; every option has a default that fits the gateway. */
export interface ConnectionOptions {
  /** Milliseconds without any event after which the connection counts as dead. Default 40000; the gateway pings every 15 s. */
  readonly staleAfter?: number | undefined;
  /** The wait between two tries. */
  readonly retry?: BackoffOptions | undefined;
  /** Default: the global `EventSource`. Another one cannot run in a worker, so the page then connects by itself. */
  readonly EventSource?: EventSourceConstructor | undefined;
}

export interface Attempt {
  /** The URL, with the cursors to resume from. */
  readonly url: string;
  /** Types that publishers give to their events: `EventSource` reports only names that it was given. */
  readonly types: Iterable<string>;
  readonly receive: (frame: Frame) => void;
  /** Finds out why the gateway refuses the request. */
  readonly explain: (signal: AbortSignal) => Promise<Refusal | undefined>;
}

export type Connection = ReturnType<typeof createConnection>;

interface Opened {
  readonly attempt: Attempt;
  readonly source: EventSourceLike;
}

/** `EventSource.CLOSED`; a replaced constructor need not have the constant. */
const CLOSED = 2;

/**
 * A connection to the gateway that is opened again whenever it ends, from where it ended.
 *
 * `EventSource` reconnects by itself, but only after some failures: after any status other than 200, such
 * as the 502 of a proxy during a deploy, it never tries again. It does not say when it tries next, and does
 * not notice a dead connection. Two mechanisms side by side would race, so there is one, this: on the first
 * error the source is closed, and every kind of failure is retried in the same way, at a known time and
 * with the cursor in the URL. (The `retry:` that the gateway sends is for clients that reconnect natively:
 * scripts cannot see it.)
 *
 * @param plan - returns the request to send now
 */
export function createConnection(
  plan: () => Attempt,
  onStatus: (status: Status) => void,
  options: ConnectionOptions = {},
) {
  const { staleAfter = 40_000 } = options;
  const watchdog = createWatchdog(staleAfter, () =>
    retry({ kind: status.phase === 'live' ? 'stale' : 'unreachable' }),
  );

  let status: Status = { phase: 'closed' };
  let current: Opened | undefined;
  /** Replaces the current one when it opens. */
  let next: Opened | undefined;
  let failures = 0;
  let nextFailures = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let nextTimer: ReturnType<typeof setTimeout> | undefined;
  let diagnosis = new AbortController();

  /** Connects, and stays connected until {@link stop}. Does nothing if the connection is started. */
  function start() {
    if (status.phase !== 'closed') return;
    failures = 0;
    connect();
  }

  /** Closes the connection; no socket or timer stays open. It can be started again. */
  function stop() {
    hangUp();
    setStatus({ phase: 'closed' });
  }

  /** Tries at once if the connection, or the request that is to replace the present one, waits. */
  function retryNow() {
    if (status.phase === 'waiting') connect();
    else if (nextTimer !== undefined && !next) replace();
  }

  /** Does what timers would have done while the page or the machine slept. */
  function wake() {
    watchdog.check();
    if (status.phase === 'waiting' && status.retryAt <= Date.now()) connect();
  }

  /**
   * Sends a new request. If the connection is live, it stays in use until the gateway has opened the
   * new one. A connection that waits continues to wait, unless its request was refused.
   */
  function replace() {
    if (status.phase === 'live') {
      dropNext();
      next = open();
      nextTimer = setTimeout(failNext, staleAfter);
    } else if (status.phase === 'connecting' || isRefused(status)) {
      connect();
    }
  }

  /** Closes the present request and sends a new one at once. */
  function restart() {
    if (status.phase === 'live') reopen();
    else replace();
  }

  function reopen() {
    hangUp();
    current = open();
    watchdog.start();
  }

  function connect() {
    const cause = 'cause' in status ? status.cause : undefined;
    setStatus({ phase: 'connecting', attempt: failures + 1, cause });
    reopen();
  }

  function open(): Opened {
    const attempt = plan();
    const source = new (options.EventSource ?? globalThis.EventSource)(attempt.url);
    const opened = { attempt, source };
    for (const name of new Set(['message', ...controlEvents, ...keyEvents, ...attempt.types])) {
      source.addEventListener(name, (event) => receive(opened, readFrame(event)));
    }
    source.addEventListener('error', () => {
      if (opened === current) fail(opened);
      else if (opened === next) failNext();
    });
    return opened;
  }

  function receive(opened: Opened, frame: Frame) {
    if (opened === next) {
      if (frame.kind === 'close') failNext();
      if (frame.kind !== 'open') return;
      current?.source.close();
      current = next;
      next = undefined;
      dropNext();
      nextFailures = 0;
    }
    if (opened !== current) return;
    watchdog.touch();
    if (frame.kind === 'open') goLive();
    opened.attempt.receive(frame);
    if (frame.kind === 'close') retry({ kind: 'ended', reason: frame.reason });
  }

  function goLive() {
    failures = 0;
    if (status.phase !== 'live') setStatus({ phase: 'live', since: Date.now() });
  }

  function fail({ attempt, source }: Opened) {
    if (source.readyState === CLOSED) {
      retry({ kind: 'refused', refusal: undefined });
      void explain(attempt);
    } else {
      retry({ kind: status.phase === 'live' ? 'lost' : 'unreachable' });
    }
  }

  /** The present request stays open while its replacement is tried again. */
  function failNext() {
    const failed = next;
    dropNext();
    nextFailures += 1;
    nextTimer = setTimeout(replace, backoff(nextFailures, options.retry));
    if (failed?.source.readyState === CLOSED) void explain(failed.attempt);
  }

  /** Drops the new request that was to replace the present one. */
  function dropNext() {
    clearTimeout(nextTimer);
    nextTimer = undefined;
    next?.source.close();
    next = undefined;
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

  /** Finds out why the gateway refused. A request that only a person can correct is repeated at the slowest pace. */
  async function explain(attempt: Attempt) {
    diagnosis.abort();
    diagnosis = new AbortController();
    const { signal } = diagnosis;
    const refusal = await attempt.explain(signal);
    if (signal.aborted || refusal === undefined) return;
    const slowest = isLasting(refusal) ? backoff(Infinity, options.retry) : undefined;
    if (status.phase === 'live' && slowest !== undefined) {
      clearTimeout(nextTimer);
      nextTimer = setTimeout(replace, slowest);
    }
    if (status.phase !== 'waiting') return;
    const cause: Cause = { kind: 'refused', refusal };
    if (slowest !== undefined) wait(cause, slowest);
    else setStatus({ ...status, cause });
  }

  function hangUp() {
    dropNext();
    current?.source.close();
    current = undefined;
    clearTimeout(timer);
    diagnosis.abort();
    watchdog.stop();
  }

  function setStatus(value: Status) {
    status = value;
    onStatus(value);
  }

  return { start, stop, retryNow, wake, replace, keep: dropNext, restart };
}

function isRefused(status: Status): boolean {
  return status.phase === 'waiting' && status.cause.kind === 'refused';
}
