import type { ConnectionOptions } from '../connection/connection.js';
import { observePage } from '../page.js';
import { startWorker } from '../start-worker.js';
import type { FromHost, ToHost } from './host.js';

/** A tab's access to the host of its connections. */
export type Link = ReturnType<typeof createLink>;

export interface LinkOptions extends ConnectionOptions {
  /** The URL of another copy of the worker's file, of the page's origin. */
  readonly workerURL?: string | URL | undefined;
}

/** Workers of other versions of the messages have other names. */
const PROTOCOL = 3;
/** Milliseconds between two pings. */
const INTERVAL = 5_000;
/** Half the milliseconds that a host has for its answer. */
const HALF_PATIENCE = 2_500;

/**
 * Opens a link to the worker that all tabs share. If the worker does not answer, the tab connects once more, which
 * starts a new worker if the old one has ended. After that, and if no worker can be started, the host runs in the
 * page.
 *
 * @param onStart - called for each host; the tab then sends all its requests from where it is
 */
export function createLink(
  eventsURL: string,
  { workerURL, ...options }: LinkOptions,
  onStart: () => void,
  onMessage: (message: FromHost) => void,
) {
  // A worker cannot use the page's constructor.
  let isAlone = options.EventSource !== undefined;
  let port: MessagePort | undefined;
  let isReported = false;
  let unanswered = 0;
  let lastPing = 0;
  let deadline: ReturnType<typeof setTimeout> | undefined;

  const send = (message: ToHost) => port?.postMessage(message);

  /** Opens a link, also in place of the present one. */
  function open() {
    release();
    const opened = (isAlone ? undefined : sharedPort()) ?? pagePort();
    port = opened;
    opened.onmessage = ({ data }: MessageEvent<FromHost>) => {
      if (port === opened) receive(data);
    };
    ping();
    onStart();
  }

  function sharedPort(): MessagePort | undefined {
    const name = `sluice ${PROTOCOL} ${eventsURL}`;
    try {
      const worker = startWorker(name, workerURL);
      worker.onerror = () => {
        isAlone = true;
        if (port === worker.port) restart();
      };
      return worker.port;
    } catch {
      return undefined; // not supported, or not allowed for this page
    }
  }

  function pagePort(): MessagePort {
    isAlone = true;
    const { port1, port2 } = new MessageChannel();
    // Most pages have a worker and never load the code of the host. The port keeps the messages until then.
    void import('./host.js').then(({ createHost }) => createHost(options)(port2)).catch(report);
    return port1;
  }

  /** Reports that the host cannot be loaded, after a deploy perhaps. Each restart of the link tries again. */
  function report(error: unknown) {
    if (!isReported)
      queueMicrotask(() => {
        throw error;
      });
    isReported = true;
  }

  function receive(message: FromHost) {
    unanswered = 0;
    clearTimeout(deadline);
    deadline = undefined;
    if (message.kind === 'dropped') onStart();
    else onMessage(message);
    // A tab that is busy with events says so more often than the timer does.
    if (Date.now() - lastPing > INTERVAL / 5 && message.kind === 'reports') ping();
  }

  function ping(isOnline = false) {
    lastPing = Date.now();
    send({ kind: 'ping', isOnline });
    // A long task of the page delays the answer and this timer alike. The second timer lets the answer come first.
    deadline ??= setTimeout(() => {
      deadline = setTimeout(restart, HALF_PATIENCE);
    }, HALF_PATIENCE);
  }

  function restart() {
    unanswered += 1;
    isAlone ||= unanswered > 1;
    open();
  }

  function release() {
    clearTimeout(deadline);
    deadline = undefined;
    send({ kind: 'close' });
    port?.close();
    port = undefined;
  }

  const stopObserving = observePage({
    onOnline: () => ping(true),
    onVisible: ping,
    onRestored: open,
    onGone: () => send({ kind: 'close' }),
  });
  const interval = setInterval(ping, INTERVAL);
  open();

  return {
    send,
    close: () => {
      stopObserving();
      clearInterval(interval);
      release();
    },
  };
}
