import { createBatch, nextFrame, type Scheduler } from './frames.js';
import { backoff } from './connection/backoff.js';
import type { StreamStatus } from './connection/status.js';
import { createRequests } from './requests.js';
import type { FromHost } from './sharing/host.js';
import { createLink, type Link, type LinkOptions } from './sharing/link.js';
import { iterateRun, type RunIterator, type RunIteratorOptions } from './run.js';
import type { Store } from './store.js';
import {
  createSubscription,
  type Observer,
  type SubscribeOptions,
  type Subscription,
} from './subscription.js';

/** How a client behaves; every option has a default. */
export interface StreamClientOptions extends LinkOptions {
  /** Returns the access token. It is sent in URLs, as `EventSource` can set no header. */
  readonly token?: (() => string | undefined) | undefined;
  /**
   * Called once for each token that has expired, or that the gateway does not accept, and at most once a second. The
   * client continues with the token that it returns, from its cursors; with `undefined`, it calls `token` again. Until
   * there is another token, topics that need none are followed without it. If it throws, it is called again after a
   * pause that grows from 1 to 30 seconds, or at the next `retryNow`.
   */
  readonly onTokenExpired?: (() => string | undefined | Promise<string | undefined>) | undefined;
  /** When to report changes of the status. Default: once per animation frame. */
  readonly schedule?: Scheduler | undefined;
}

/** A page's access to a gateway; see {@link createStreamClient}. */
export interface StreamClient {
  /**
   * The gateway without a slash at the end: `https://live.example`. It is absolute in a page; elsewhere, such as during
   * server rendering, it is as given.
   */
  readonly url: string;
  /** Follows topics such as `stream:logs`; an empty list stands for the gateway's default topics. */
  readonly subscribe: (
    topics: readonly string[],
    options: SubscribeOptions,
    observer: Observer,
  ) => Subscription;
  /**
   * The chunks of a finite stream, such as `stream:run:42`, from its first entry to its end, for `for await`. Throws
   * {@link RunLostError} if the run is lost, the signal's reason if it aborts, and an error if the gateway refuses
   * the topic. While `onTokenExpired` runs, a topic that needs a valid token is waited for.
   */
  readonly run: (topic: string, options?: RunIteratorOptions) => RunIterator;
  /** The state of the connection. */
  readonly status: Store<StreamStatus>;
  /** Connects at once rather than at the planned time, and asks for refused topics again. */
  readonly retryNow: () => void;
  /** Call it after `token` returns another token. Subscriptions continue from where they are. */
  readonly tokenChanged: () => void;
  /** Headers for other requests to the gateway, such as a publish. */
  readonly authorization: () => Readonly<Record<string, string>>;
}

/** The shortest time between two renewed tokens, in milliseconds. */
const RENEWAL_INTERVAL = 1_000;

/**
 * Creates a client, which follows topics of a gateway for all parts of a page over as few connections as
 * possible. All tabs of an origin that use the same gateway with the same token share them. The
 * first subscription opens the connection, and the end of the last one closes it.
 *
 * @param url - the gateway, absolute or relative to the page
 */
export function createStreamClient(url: string, options: StreamClientOptions = {}): StreamClient {
  const { schedule = nextFrame, token: getToken, onTokenExpired, ...link } = options;
  const base = absolute(url);
  const eventsURL = `${base}/events`;
  const listeners = new Set<() => void>();
  const publishing = createBatch(() => listeners.forEach((onChange) => onChange()), schedule);
  const requests = createRequests(changed, publish);
  let host: Link | undefined;
  let changing = false;
  let status: StreamStatus | undefined;
  /** The token that `onTokenExpired` returned, and the one that it returned it for. */
  let renewed: string | undefined;
  let expired: string | undefined;
  let renewedAt = 0;
  /** The calls of `onTokenExpired` until it returns. */
  let renewal: Promise<void> | undefined;
  let endPause: (() => void) | undefined;

  const token = () => renewed ?? getToken?.() ?? '';

  function publish() {
    status = undefined;
    publishing.request();
  }

  /** Sends all changes of a turn of the event loop together. */
  function changed() {
    if (changing) return;
    changing = true;
    queueMicrotask(() => {
      changing = false;
      if (requests.all().length > 0) {
        host ??= createLink(eventsURL, link, restart, receive);
        send();
      } else {
        host?.close();
        host = undefined;
      }
    });
  }

  function restart() {
    requests.renew();
    send();
  }

  function send() {
    const { staleAfter, retry: { base, max } = {} } = link;
    const settings = { staleAfter, retry: { ...(base && { base }), ...(max && { max }) } };
    const message = { eventsURL, token: token(), options: settings, requests: requests.all() };
    host?.send({ kind: 'requests', ...message });
  }

  function receive(message: FromHost) {
    if (message.kind !== 'reports') return;
    requests.receive(message.reports);
    if (requests.status().tokenRefusal) {
      renewal ??= renewToken().finally(() => (renewal = undefined));
    }
  }

  async function renewToken() {
    for (let failures = 0; host && requests.status().tokenRefusal;) {
      const refused = token();
      if (!onTokenExpired || refused === expired) return;
      // The gateway may refuse every new token, as with a wrong clock.
      const early = renewedAt + RENEWAL_INTERVAL - Date.now();
      if (early > 0) {
        await pause(early);
        continue;
      }
      try {
        const next = await onTokenExpired();
        // The app may have set another one in the meantime.
        if (token() !== refused) continue;
        expired = refused;
        renewed = next;
        renewedAt = Date.now();
        if (token() !== refused) switchToken();
      } catch (error) {
        console.error(error);
        failures += 1;
        await pause(backoff(failures));
      }
    }
  }

  function pause(milliseconds: number) {
    return new Promise<void>((resolve) => {
      endPause = resolve;
      setTimeout(resolve, milliseconds);
    });
  }

  function switchToken() {
    requests.renew();
    changed();
    publish();
    endPause?.();
  }

  function tokenChanged() {
    renewed = undefined;
    switchToken();
  }

  function authorization(): Record<string, string> {
    return token() === '' ? {} : { Authorization: `Bearer ${token()}` };
  }

  const subscribe: StreamClient['subscribe'] = (topics, options, observer) =>
    createSubscription(requests, topics, options, observer);

  function retryNow() {
    host?.send({ kind: 'retry' });
    endPause?.();
  }

  return {
    url: base,
    subscribe,
    run: (topic, runOptions = {}) => iterateRun(subscribe, topic, runOptions, () => renewal),
    status: {
      subscribe: (onChange) => {
        listeners.add(onChange);
        return () => listeners.delete(onChange);
      },
      getSnapshot: () => (status ??= requests.status()),
    },
    retryNow,
    tokenChanged,
    authorization,
  };
}

/** A server that renders the page does not know its address, and does not connect. */
function absolute(url: string): string {
  const { href } = typeof document === 'undefined' ? { href: url } : new URL(url, document.baseURI);
  return href.replace(/\/+$/, '');
}
