import type { ConnectionOptions } from '../connection/connection.js';
import { createMultiplexer, type Multiplexer, type Report, type Request } from './multiplexer.js';

/** A message from a tab to its host. */
export type ToHost =
  | {
      /** All requests of the tab from now on. */
      readonly kind: 'requests';
      readonly eventsURL: string;
      readonly token: string;
      readonly options: Pick<ConnectionOptions, 'staleAfter' | 'retry'>;
      readonly requests: readonly Request[];
    }
  | { readonly kind: 'ping' }
  | { readonly kind: 'close' }
  | Reconnect;

/** The tab's reader asks for a retry; or the tab has become visible, or the network is back. */
type Reconnect = { readonly kind: 'retry' } | { readonly kind: 'wake'; readonly isOnline: boolean };

/** A message from a host to a tab. */
export type FromHost =
  | { readonly kind: 'pong' }
  /** The host has dropped the tab, which has to send its requests again, under other keys. */
  | { readonly kind: 'dropped' }
  | { readonly kind: 'reports'; readonly reports: readonly Report[] };

/** A frozen or crashed tab is dropped after this time without a ping, in milliseconds. */
const MAX_SILENCE = 3 * 60_000;
/** A tab is dropped when this many characters were sent to it since its last ping: the browser keeps them in memory. */
const MAX_UNREAD = 16 * 1024 * 1024;

/** Serves tabs, each of which has a port. Runs in the worker, or in the page. */
export function createHost(options: ConnectionOptions = {}): {
  accept: (port: MessagePort) => void;
} {
  /** By URL and token, as long as they have tabs. */
  const multiplexers = new Map<string, Multiplexer>();

  /** The first tab of a URL and token sets the options for those that follow. */
  function multiplexerFor(message: ToHost & { kind: 'requests' }): Multiplexer {
    const { eventsURL, token } = message;
    const name = `${eventsURL} ${token}`;
    // Without tabs it would only remember that its token was refused, which may no longer be true.
    for (const [other, { hasTabs }] of multiplexers) if (!hasTabs()) multiplexers.delete(other);
    const known = multiplexers.get(name);
    if (known) return known;
    const created = createMultiplexer(eventsURL, token, { ...message.options, ...options });
    multiplexers.set(name, created);
    return created;
  }

  function accept(port: MessagePort) {
    const turn = new MessageChannel();
    let reports: Report[] = [];
    let multiplexer: Multiplexer | undefined;
    let unread = 0;
    let isDropped = false;
    /** Whether `dropped` was sent to the tab. */
    let isNotified = false;
    /** The keys of the requests that were made last. */
    let keys: ReadonlySet<number> = new Set();
    /** What a dropped tab asked for. It is done after the tab has sent its requests again. */
    let postponed: Reconnect | undefined;
    let silence: ReturnType<typeof setTimeout> | undefined;

    const post = (message: FromHost) => port.postMessage(message);

    /** Sends the reports of one turn together. Timers would be slowed down in a hidden page. */
    function report(one: Report) {
      if (reports.length === 0) turn.port1.postMessage(undefined);
      reports.push(one);
      if (one.kind !== 'item' || one.item.frame.kind !== 'message') return;
      unread += one.item.frame.data.length;
      if (unread > MAX_UNREAD) queueMicrotask(drop);
    }

    turn.port2.onmessage = () => {
      multiplexer?.reportCursors(report);
      post({ kind: 'reports', reports });
      reports = [];
    };

    function drop() {
      multiplexer?.setRequests(report, []);
      multiplexer = undefined;
      isDropped = true;
    }

    function touch() {
      unread = 0;
      clearTimeout(silence);
      silence = setTimeout(drop, MAX_SILENCE);
    }

    function receive(message: ToHost) {
      touch();
      if (message.kind === 'close') {
        drop();
        clearTimeout(silence);
        turn.port1.close();
        port.close();
      } else if (isDropped && !isAnswer(message)) {
        if (message.kind === 'retry' || message.kind === 'wake') postponed = message;
        if (!isNotified) post({ kind: 'dropped' });
        isNotified = true;
      } else if (message.kind === 'requests') {
        const next = multiplexerFor(message);
        if (multiplexer !== next) multiplexer?.setRequests(report, []);
        multiplexer = next;
        isDropped = isNotified = false;
        keys = new Set(message.requests.map(({ key }) => key));
        next.setRequests(report, message.requests);
        if (postponed) reconnect(postponed);
        postponed = undefined;
      } else if (message.kind !== 'ping') {
        reconnect(message);
      }
      if (message.kind === 'ping') post({ kind: 'pong' });
    }

    /**
     * Whether the tab may have sent this after `dropped`. Requests under their old keys start from where the tab
     * was before the reports that it has not received yet, so these would be repeated.
     */
    function isAnswer(message: ToHost) {
      return message.kind === 'requests' && !message.requests.some(({ key }) => keys.has(key));
    }

    function reconnect(message: Reconnect) {
      if (message.kind === 'retry') multiplexer?.retryNow();
      else multiplexer?.wake(message.isOnline);
    }

    port.onmessage = ({ data }: MessageEvent<ToHost>) => receive(data);
    touch();
  }

  return { accept };
}
