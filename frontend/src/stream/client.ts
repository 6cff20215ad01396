import { createDefaults } from './defaults';
import { createExchange } from './tabs/exchange';
import { createBatch, nextFrame, type Scheduler } from './frames';
import { type Group, joinGroup } from './tabs/group';
import type { LineOptions } from './line/line';
import { createMembership, type Membership } from './tabs/membership';
import { fingerprint } from './tabs/fingerprint';
import { type StreamStatus, worst } from './line/status';
import type { Store } from './store';
import {
  createSubscription,
  type Observer,
  type SubscribeOptions,
  type Subscription,
} from './subscription';

/** How a client behaves; every option has a default. */
export interface StreamClientOptions extends LineOptions {
  /** When to tell of changes of the status. Default: once per animation frame. */
  readonly schedule?: Scheduler;
}

/** A page's access to a gateway; see {@link createStreamClient}. */
export interface StreamClient {
  /** The gateway, absolute, without a slash at the end: `https://live.example`. */
  readonly url: string;
  /** Follows topics such as `stream:logs`; none are the gateway's default ones. */
  readonly subscribe: (
    topics: readonly string[],
    options: SubscribeOptions,
    observer: Observer,
  ) => Subscription;
  readonly status: Store<StreamStatus>;
  /** Tries to connect at once rather than at the time planned, refused topics included. */
  readonly retryNow: () => void;
  /** Uses another token from now on; subscriptions go on from where they are. */
  readonly tokenChanged: () => void;
  /** Headers for other requests to the gateway, such as a publish. */
  readonly authorization: () => Readonly<Record<string, string>>;
}

/**
 * Follows topics of a gateway on behalf of the parts of a page, over as few connections as can be: those of
 * all parts are merged, and all tabs of an origin that use the same gateway with the same token share them.
 * Nothing is opened before somebody subscribes, and nothing stays open after the last one left.
 *
 * @param url - the gateway, absolute or relative to the page
 */
export function createStreamClient(url: string, options: StreamClientOptions = {}): StreamClient {
  const { schedule = nextFrame, ...line } = options;
  const base = absolute(url);
  const eventsURL = `${base}/events`;
  const listeners = new Set<() => void>();
  const publishing = createBatch(() => listeners.forEach((onChange) => onChange()), schedule);
  const defaults = createDefaults(eventsURL, line, publish);
  const membership: Membership = createMembership({ onChange: changed, onStatus: publish });
  let group: Group | undefined;
  let changing = false;
  let status: StreamStatus | undefined;

  function publish() {
    status = undefined;
    publishing.request();
  }

  /** Who still asks for the default topics is not live, however the connection of the others is. */
  function currentStatus(): StreamStatus {
    const all = membership.status();
    const asking = defaults.status();
    return asking ? { ...all, status: worst([all.status, asking]) } : all;
  }

  /** Joins, updates or leaves the group once for all changes of a turn of the event loop. */
  function changed() {
    if (changing) return;
    changing = true;
    queueMicrotask(() => {
      changing = false;
      if (membership.wants().length === 0) leave();
      else if (group) group.update();
      else join();
    });
  }

  function join() {
    const name = `${eventsURL} ${fingerprint(line.token?.() ?? '')}`;
    group = joinGroup(name, membership, (observer) => createExchange(eventsURL, observer, line));
    group.update();
  }

  function leave() {
    group?.leave();
    group = undefined;
  }

  function tokenChanged() {
    defaults.retryNow();
    leave();
    membership.rejoin();
    changed();
  }

  function authorization(): Record<string, string> {
    const token = line.token?.();
    return token ? { Authorization: `Bearer ${token}` } : {};
  }

  return {
    url: base,
    subscribe: (topics, options, observer) =>
      createSubscription({ membership, defaults }, topics, options, observer),
    status: {
      subscribe: (onChange) => {
        listeners.add(onChange);
        return () => listeners.delete(onChange);
      },
      getSnapshot: () => (status ??= currentStatus()),
    },
    retryNow: () => {
      defaults.retryNow();
      group?.retryNow();
    },
    tokenChanged,
    authorization,
  };
}

function absolute(url: string): string {
  const base = typeof document === 'undefined' ? undefined : document.baseURI;
  return new URL(url, base).href.replace(/\/+$/, '');
}
