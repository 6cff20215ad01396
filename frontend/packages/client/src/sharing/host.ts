import type { ConnectionOptions } from '../connection/connection.js';
import { createMultiplexer, type Multiplexer, type Report, type Request } from './multiplexer.js';

export type ToHost =
  | {
      /** All requests of the tab from now on. The keys of new ones are larger than all before. */
      readonly kind: 'requests';
      readonly eventsURL: string;
      readonly token: string;
      readonly options: Pick<ConnectionOptions, 'staleAfter' | 'retry'>;
      readonly requests: readonly Request[];
    }
  /** Sent often, and when the tab has become visible or the network is back. */
  | { readonly kind: 'ping'; readonly isOnline: boolean }
  | { readonly kind: 'close' }
  /** The tab's reader asks for a retry. */
  | { readonly kind: 'retry' };

export type FromHost =
  | { readonly kind: 'pong' }
  /** The host has dropped the tab, which has to send its requests again, under other keys. */
  | { readonly kind: 'dropped' }
  | { readonly kind: 'reports'; readonly reports: readonly Report[] };

/** A frozen or crashed tab is dropped after this time without a ping, in milliseconds. */
const MAX_SILENCE = 3 * 60_000;
/** A tab is dropped when this many characters were sent to it since its last ping: the browser keeps them in memory. */
const MAX_UNREAD = 16 * 1024 * 1024;

/** Returns the function that serves a tab on its port. Runs in the worker of a URL, or in the page. */
export function createHost(options: ConnectionOptions = {}): (port: MessagePort) => void {
  /** By token, as long as they have tabs. */
  const multiplexers = new Map<string, Multiplexer>();

  /** The first tab of a token sets the options for those that follow. */
  function multiplexerFor(message: ToHost & { kind: 'requests' }): Multiplexer {
    const { eventsURL, token } = message;
    // Without tabs it would only remember that its token was refused, which may no longer be true.
    for (const [other, { hasTabs }] of multiplexers) if (!hasTabs()) multiplexers.delete(other);
    const found =
      multiplexers.get(token) ??
      createMultiplexer(eventsURL, token, { ...message.options, ...options });
    multiplexers.set(token, found);
    return found;
  }

  function accept(port: MessagePort) {
    const turn = new MessageChannel();
    let reports: Report[] = [];
    let multiplexer: Multiplexer | undefined;
    let unread = 0;
    /** The largest key of a request so far, and when the tab was dropped last. */
    let newestKey = 0;
    let droppedKey = 0;
    let silence: ReturnType<typeof setTimeout> | undefined;

    const post = (message: FromHost) => port.postMessage(message);

    /** Sends the reports of one turn together. Timers would be slowed down in a hidden page. */
    function report(one: Report) {
      if (reports.length === 0) turn.port1.postMessage(undefined);
      reports.push(one);
      if (one.kind !== 'item' || one.item.frame.kind !== 'message') return;
      unread += one.item.frame.data.length;
      if (unread <= MAX_UNREAD) return;
      unread = 0;
      queueMicrotask(drop);
    }

    function flush() {
      if (reports.length === 0) return;
      multiplexer?.reportCursors(report);
      post({ kind: 'reports', reports });
      reports = [];
    }

    function drop() {
      flush();
      multiplexer?.setRequests(report, []);
      droppedKey = newestKey;
      post({ kind: 'dropped' });
    }

    function receive(message: ToHost) {
      unread = 0;
      clearTimeout(silence);
      silence = setTimeout(drop, MAX_SILENCE);
      if (message.kind === 'requests') follow(message);
      // For all tabs, as a dropped tab shares their connections again after it has sent its requests.
      else if (message.kind === 'retry') multiplexers.forEach(({ retryNow }) => retryNow());
      else if (message.kind === 'ping') {
        multiplexers.forEach(({ wake }) => wake(message.isOnline));
        post({ kind: 'pong' });
      } else {
        multiplexer?.setRequests(report, []);
        clearTimeout(silence);
        turn.port1.close();
        port.close();
      }
    }

    function follow(message: ToHost & { kind: 'requests' }) {
      const keys = message.requests.map(({ key }) => key);
      // The tab sent these before it received `dropped`. They start from where the tab was before the reports that
      // it had not received yet, so these would be repeated.
      if (keys.some((key) => key <= droppedKey)) return;
      newestKey = Math.max(newestKey, ...keys);
      const next = multiplexerFor(message);
      if (multiplexer !== next) multiplexer?.setRequests(report, []);
      multiplexer = next;
      next.setRequests(report, message.requests);
    }

    turn.port2.onmessage = flush;
    port.onmessage = ({ data }: MessageEvent<ToHost>) => receive(data);
  }

  return accept;
}
