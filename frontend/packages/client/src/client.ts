import { createBatch, nextFrame, type Scheduler } from './frames.js';
import type { StreamStatus } from './connection/status.js';
import { createRequests } from './requests.js';
import type { FromHost } from './sharing/host.js';
import { createLink, type Link, type LinkOptions } from './sharing/link.js';
import { followRun, iterateRun, type RunChunk, type RunObserver, type RunOptions } from './run.js';
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
   * Called once for each token that has expired, or that the gateway does not accept. The client continues with
   * the token that it returns, without losing its place; with `undefined`, it calls `token` again. Until there is
   * another token, topics that need none are followed without it.
   */
  readonly onTokenExpired?: (() => string | undefined | Promise<string | undefined>) | undefined;
  /** When to report changes of the status. Default: once per animation frame. */
  readonly schedule?: Scheduler | undefined;
}

/** A page's access to a gateway; see {@link createStreamClient}. */
export interface StreamClient {
  /** The gateway, absolute, without a slash at the end: `https://live.example`. */
  readonly url: string;
  /** Follows topics such as `stream:logs`; an empty list stands for the gateway's default topics. */
  readonly subscribe: (
    topics: readonly string[],
    options: SubscribeOptions,
    observer: Observer,
  ) => Subscription;
  /**
   * Follows a finite stream, such as `stream:run:42`, from its first entry to its end, over a request for it
   * alone. Returns the function that stops it.
   */
  readonly followRun: (topic: string, options: RunOptions, observer: RunObserver) => () => void;
  /**
   * The chunks of a finite stream, for `for await`. The iteration ends after the end of the run, and throws if
   * the run failed or is lost, or the signal aborts.
   */
  readonly run: (
    topic: string,
    options?: RunOptions & { readonly signal?: AbortSignal | undefined },
  ) => AsyncGenerator<RunChunk, string | undefined>;
  /** The state of the connection. */
  readonly status: Store<StreamStatus>;
  /** Connects at once rather than at the planned time, and asks for refused topics again. */
  readonly retryNow: () => void;
  /** Call it after `token` returns another token. Subscriptions continue from where they are. */
  readonly tokenChanged: () => void;
  /** Headers for other requests to the gateway, such as a publish. */
  readonly authorization: () => Readonly<Record<string, string>>;
}

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
  /** The token that `onTokenExpired` returned, and the one that it was called for. */
  let renewed: string | undefined;
  let expired: string | undefined;

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
      if (requests.all().length === 0) {
        host?.close();
        host = undefined;
      } else if (host) {
        send();
      } else {
        host = createLink(eventsURL, link, restart, receive);
        send();
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
    if (requests.status().tokenRefusal) void renewToken(token());
  }

  async function renewToken(refused: string) {
    if (!onTokenExpired || refused === expired) return;
    expired = refused;
    try {
      const next = await onTokenExpired();
      // The app may have set another one in the meantime.
      if (token() !== refused) return;
      renewed = next;
      if (token() !== refused) switchToken();
    } catch (error) {
      reportError(error);
    }
  }

  function switchToken() {
    requests.renew();
    changed();
    publish();
  }

  function tokenChanged() {
    renewed = undefined;
    switchToken();
  }

  function authorization(): Record<string, string> {
    return token() === '' ? {} : { Authorization: `Bearer ${token()}` };
  }

  const followRunOf: StreamClient['followRun'] = (topic, runOptions, observer) => {
    const [kind = '', ...name] = topic.split(':');
    const url = (lastEventId: string | undefined) => {
      const query = new URLSearchParams({ [kind]: name.join(':'), from: 'start' });
      if (lastEventId !== undefined) query.set('lastEventId', lastEventId);
      if (token() !== '') query.set('access_token', token());
      return `${eventsURL}?${query.toString()}`;
    };
    return followRun(url, topic, runOptions, observer, link.EventSource);
  };

  return {
    url: base,
    followRun: followRunOf,
    run: (topic, { signal, ...runOptions } = {}) =>
      iterateRun((observer) => followRunOf(topic, runOptions, observer), signal),
    subscribe: (topics, options, observer) =>
      createSubscription(requests, topics, options, observer),
    status: {
      subscribe: (onChange) => {
        listeners.add(onChange);
        return () => listeners.delete(onChange);
      },
      getSnapshot: () => (status ??= requests.status()),
    },
    retryNow: () => host?.send({ kind: 'retry' }),
    tokenChanged,
    authorization,
  };
}

function absolute(url: string): string {
  const base = typeof document === 'undefined' ? undefined : document.baseURI;
  return new URL(url, base).href.replace(/\/+$/, '');
}
