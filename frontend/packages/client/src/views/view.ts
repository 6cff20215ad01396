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

/** What a view makes of a subscription. */
export interface Collector<T> extends Pick<Observer, 'onEntry'> {
  /** What is to be shown now; called once per picture. */
  readonly read: (state: SubscriptionState) => T;
  /** What is to outlive a reload, as plain JSON. */
  readonly save?: () => unknown;
  /** Begins with what {@link save} returned. */
  readonly restore?: (saved: unknown) => void;
}

/** How a view behaves; every option has a default. */
export interface ViewOptions {
  /** Where the view goes on after a reload, or when it is shown again. Default: nowhere. */
  readonly memory?: { readonly in: Memory; readonly name: string } | undefined;
  /** When to tell of changes. Default: with the next animation frame, and in a flood ten times a second. */
  readonly schedule?: Scheduler;
}

interface Kept {
  readonly at: number;
  readonly progress: Progress;
  readonly saved: unknown;
}

/** After a longer absence, in milliseconds, nobody wants to see all that came meanwhile. */
const MAX_ABSENCE = 10 * 60_000;

/**
 * A subscription as a store. The first subscriber of the store begins it, the last one ends it; whoever
 * comes later sees what was collected until then, and it goes on from there.
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
  let state: SubscriptionState = { status: connecting, topics, refused: new Map() };
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
    subscription = client.subscribe(topics, { ...options, from: progress }, observer);
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
    collector.restore?.(kept.saved);
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
