import type { StreamClient } from '../client.js';
import { createBatch, nextFrame, paced, type Scheduler } from '../frames.js';
import type { Memory } from './memory.js';
import { observePage } from '../page.js';
import { connecting } from '../connection/status.js';
import type { Store } from '../store.js';
import type {
  Observer,
  Progress,
  SubscribeOptions,
  Subscription,
  SubscriptionState,
} from '../subscription.js';

/** Makes the value of a view from a subscription. */
export interface Collector<T> extends Pick<Observer, 'onEntry'> {
  /** Returns the present value; called once per render. */
  readonly read: (state: SubscriptionState) => T;
  /** Returns the state that survives a reload, as plain JSON. */
  readonly save?: () => unknown;
  /** Restores the state that {@link save} returned. */
  readonly restore?: (saved: unknown) => void;
}

/** How a view behaves; every option has a default. */
export interface ViewOptions {
  /** Where the view keeps its state for a reload. Default: nowhere. */
  readonly memory?: { readonly in: Memory; readonly name: string } | undefined;
  /** When to report changes. Default: with the next animation frame, and ten times a second while events arrive fast. */
  readonly schedule?: Scheduler;
}

interface Kept {
  readonly at: number;
  readonly progress: Progress;
  readonly saved: unknown;
}

/** After a longer absence, in milliseconds, the view starts fresh. */
const MAX_ABSENCE = 10 * 60_000;

/**
 * A subscription as a store. The first subscriber of the store starts it, and the last one ends it. A later
 * subscriber sees the entries collected until then, and the subscription resumes from there.
 */
export function createView<T>(
  client: StreamClient,
  topics: readonly string[],
  options: SubscribeOptions,
  collector: Collector<T>,
  { memory, schedule = paced(nextFrame) }: ViewOptions = {},
): Store<T> {
  const subscribers = new Set<() => void>();
  const publishing = createBatch(publish, schedule);
  let state: SubscriptionState = {
    ...{ status: connecting, topics, refused: new Map(), ended: new Set(), missing: new Set() },
  };
  let snapshot = collector.read(state);
  let subscription: Subscription | undefined;
  let stopObserving: (() => void) | undefined;
  let progress: Progress | undefined;

  function publish() {
    snapshot = collector.read(state);
    for (const onChange of [...subscribers]) onChange();
  }

  function begin() {
    progress ??= recall();
    stopObserving = observePage({ onLeaving: keep });
    const observer: Observer = {
      onEntry: (entry) => {
        collector.onEntry(entry);
        publishing.request();
      },
      onState: (next) => {
        state = next;
        publishing.request();
      },
    };
    // A topic that the progress does not have starts as it would have without the progress.
    const last = options.from === 'start' ? Infinity : options.last;
    subscription = client.subscribe(topics, { ...options, last, from: progress }, observer);
  }

  function end() {
    keep();
    progress = subscription?.progress();
    subscription?.();
    subscription = undefined;
    stopObserving?.();
    publishing.cancel();
  }

  function recall(): Progress | undefined {
    const kept = memory?.in.take(memory.name) as Kept | undefined;
    if (!kept || Date.now() - kept.at > MAX_ABSENCE) return undefined;
    try {
      collector.restore?.(kept.saved);
    } catch {
      return undefined; // another program has written it
    }
    publishing.request();
    return kept.progress;
  }

  function keep() {
    if (!memory || !subscription) return;
    const kept: Kept = {
      at: Date.now(),
      progress: subscription.progress(),
      saved: collector.save?.(),
    };
    memory.in.keep(memory.name, kept);
  }

  return {
    getSnapshot: () => snapshot,
    subscribe: (onChange) => {
      subscribers.add(onChange);
      if (!subscription) begin();
      return () => {
        subscribers.delete(onChange);
        if (subscribers.size === 0) end();
      };
    },
  };
}
