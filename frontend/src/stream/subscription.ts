import type { Defaults } from './defaults';
import type { Refusal } from './line/diagnose';
import type { Entry } from './entry';
import type { Position } from './tabs/exchange';
import type { Item } from './tabs/history';
import type { Followed, Membership } from './tabs/membership';
import { type Status, worst } from './line/status';

/** What a subscription asks of the gateway. */
export interface SubscribeOptions {
  /** Up to this many recent events of each channel or stream come first. Default 0, at most 1000. */
  readonly last?: number | undefined;
  /** At most one event per topic (per key, per channel of a glob) in each interval, such as `250ms`. */
  readonly every?: string | undefined;
  /** Types that publishers give to their events: `EventSource` hears only names that it was told. */
  readonly events?: readonly string[] | undefined;
  /** Where an earlier subscription to the same topics was left; see {@link Subscription.progress}. */
  readonly from?: Progress | undefined;
}

/** Is told what arrives, synchronously and in order; draw from a store or a frame, not from here. */
export interface Observer {
  readonly onEntry: (entry: Entry) => void;
  readonly onState?: (state: SubscriptionState) => void;
}

/** How a subscription stands. */
export interface SubscriptionState {
  readonly status: Status;
  /** The topics that are followed; empty until the gateway has named its default ones. */
  readonly topics: readonly string[];
  /** Topics that the gateway does not give to this page, and what it says about it. */
  readonly refused: ReadonlyMap<string, Refusal>;
}

/** Ends the subscription when it is called. */
export interface Subscription {
  (): void;
  /** How far it has come. After its end, how far it came. */
  readonly progress: () => Progress;
}

/** How far a subscription has come, by topic; plain JSON. */
export type Progress = Readonly<Record<string, Position>>;

interface Context {
  readonly membership: Membership;
  readonly defaults: Defaults;
}

/** Wants each topic of a subscription, and makes one sequence of what comes. */
export function createSubscription(
  { membership, defaults }: Context,
  asked: readonly string[],
  { last = 0, every = '', events = [], from }: SubscribeOptions,
  { onEntry, onState }: Observer,
): Subscription {
  const followed = new Map<string, Followed>();
  let seq = 0;
  let giveUp: (() => void) | undefined;

  function follow(topics: readonly string[]) {
    for (const topic of new Set(topics)) {
      const wanted = { topic, every, last, events, from: from?.[topic], onItem };
      followed.set(topic, membership.want(wanted, reportState));
    }
    reportState();
  }

  function onItem({ frame, origin, receivedAt }: Item) {
    seq += 1;
    if (frame.kind === 'gap') onEntry({ ...frame, seq, receivedAt });
    else onEntry({ ...frame, topic: origin, seq, receivedAt });
  }

  function reportState() {
    const served = Array.from(followed, ([topic, it]) => ({ topic, ...it.served() }));
    onState?.({
      // What is refused must not make the others look dead.
      status: worst(served.flatMap(({ status, refusal }) => (refusal ? [] : [status]))),
      topics: [...followed.keys()],
      refused: new Map(served.flatMap(({ topic, refusal }) => (refusal ? [[topic, refusal]] : []))),
    });
  }

  function awaitTopics(status: Status) {
    onState?.({ status, topics: [], refused: new Map() });
  }

  if (asked.length > 0) follow(asked);
  else giveUp = defaults.ask(awaitTopics, follow);

  function end() {
    giveUp?.();
    followed.forEach((it) => it.end());
  }

  function progress(): Progress {
    const positions = Array.from(followed, ([topic, it]) => [topic, it.position()] as const);
    return Object.fromEntries(positions.filter((pair): pair is [string, Position] => !!pair[1]));
  }

  return Object.assign(end, { progress });
}
