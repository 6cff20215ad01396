import type { Position } from './connection/channel.js';
import type { Refusal } from './connection/diagnose.js';
import type { Item } from './connection/history.js';
import { type Status, worst } from './connection/status.js';
import type { Entry } from './entry.js';
import { type Followed, isOpen, type Requests } from './requests.js';

/** The options of a subscription. */
export interface SubscribeOptions {
  /**
   * The number of recent events of each channel or stream to start with. Default 0, at most 1000. Topics that start
   * in one request with different numbers above 0 all start with the largest. `Infinity`: streams start with their
   * first entry.
   */
  readonly last?: number | undefined;
  /** At most one event per topic (per key, per channel of a glob) in each interval, such as `250ms`. */
  readonly every?: string | undefined;
  /** Types that publishers give to their events: `EventSource` reports only names that it was given. */
  readonly events?: readonly string[] | undefined;
  /**
   * Where an earlier subscription to the same topics stopped; see {@link Subscription.progress}. With `'start'`,
   * streams start with their first entry: the same as `last: Infinity`.
   */
  readonly from?: Progress | 'start' | undefined;
}

/** Receives events synchronously and in order; render from a store or a frame, not from here. */
export interface Observer {
  readonly onEntry: (entry: Entry) => void;
  readonly onState?: (state: SubscriptionState) => void;
}

/** The state of a subscription. */
export interface SubscriptionState {
  readonly status: Status;
  /** The topics that are followed; empty until the gateway has named its default ones. */
  readonly topics: readonly string[];
  /** The topics that the gateway refuses, and its explanation. */
  readonly refused: ReadonlyMap<string, Refusal>;
  /** The streams that have ended: nothing of them follows. */
  readonly ended: ReadonlySet<string>;
  /** The streams that did not exist when they were asked for, and have no entry yet. */
  readonly missing: ReadonlySet<string>;
}

/** Ends the subscription when it is called. */
export interface Subscription {
  (): void;
  /** How far it has received each topic, also after its end. */
  readonly progress: () => Progress;
}

/** How far a subscription has received each topic; plain JSON. */
export type Progress = Readonly<Record<string, Position>>;

/** Requests each topic of a subscription, and makes one sequence of what arrives. */
export function createSubscription(
  requests: Requests,
  asked: readonly string[],
  { last: depth = 0, every = '', events: types = [], from: origin }: SubscribeOptions,
  { onEntry, onState }: Observer,
): Subscription {
  const [from, last] = origin === 'start' ? [{}, Infinity] : [origin ?? {}, depth];
  const followed = new Map<string, Followed>();
  let seq = 0;

  function follow(topics: readonly string[], positions: readonly Position[] = []) {
    [...new Set(topics)].forEach((topic, n) => {
      const position = from[topic] ?? positions[n];
      followed.set(topic, request(topic, position));
    });
    reportState();
  }

  function request(topic: string, position: Position | undefined): Followed {
    return requests.add({
      ...{ topic, every, last, types, from: position, onItem, onServed: reportState },
      onDefaults: (topics, positions) => {
        followed.delete('');
        follow(topics, positions);
      },
    });
  }

  function onItem({ frame, origin, receivedAt }: Item) {
    seq += 1;
    const arrival = { seq, receivedAt };
    const isGap = frame.kind === 'gap';
    const entry = isGap ? { ...frame, ...arrival } : { ...frame, topic: origin, ...arrival };
    notify(() => onEntry(entry));
  }

  function reportState() {
    const served = Array.from(followed, ([topic, it]) => ({ topic, ...it.served() }));
    const open = served.filter(isOpen);
    const state: SubscriptionState = {
      status: worst((open.length > 0 ? open : served).map(({ status }) => status)),
      topics: [...followed.keys()].filter((topic) => topic !== ''),
      refused: new Map(
        served.flatMap(({ topic, refusal }) => (refusal && topic ? [[topic, refusal]] : [])),
      ),
      ended: new Set(served.filter(({ isEnded }) => isEnded).map(({ topic }) => topic)),
      missing: new Set(served.filter(({ isMissing }) => isMissing).map(({ topic }) => topic)),
    };
    notify(() => onState?.(state));
  }

  function progress(): Progress {
    // A topic that was not opened yet keeps the position that it is to resume from.
    const reached = { ...from };
    for (const [topic, it] of followed) {
      const position = it.position();
      if (topic !== '' && position?.cursor) reached[topic] = position;
    }
    return reached;
  }

  // If one id covers all default topics, the request that asks for them resumes them.
  const [first, ...others] = Object.values(from);
  const isShared = others.every(({ cursor }) => cursor?.id === first?.cursor?.id);
  if (asked.length > 0) follow(asked);
  else {
    followed.set('', request('', isShared ? first : undefined));
    reportState();
  }

  return Object.assign(() => followed.forEach((it) => it.end()), { progress });
}

/** Calls an observer. If it fails, the page reports the error, and the other observers are not affected. */
function notify(call: () => void) {
  try {
    call();
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}
