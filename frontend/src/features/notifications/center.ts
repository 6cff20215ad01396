import {
  connecting,
  createView,
  type Entry,
  type Store,
  type StreamClient,
  type SubscriptionState,
} from '@sluice/client';
import { rememberRefusal } from './notification-topics';
import { type Notification, readNotification } from './notification';
import { readMarks } from './read-marks';

/** The notifications of some topics, newest first. */
export interface Inbox extends SubscriptionState {
  readonly notifications: readonly Notification[];
}

/** The notifications of some topics, for all who show them; see {@link centerOf}. */
export interface Center extends Store<Inbox> {
  /** Calls the function for each notification that is new, not for those from before; returns what ends it. */
  readonly onNews: (tell: (notification: Notification) => void) => () => void;
}

const LIMIT = 200;
/** Events within this time after the start of the page, in milliseconds, count as old: the subscription asks for recent ones. */
const PAST = 2_000;

const nothing: Inbox = {
  ...{ status: connecting, topics: [], refused: new Map(), ended: new Set(), missing: new Set() },
  notifications: [],
};

/** The center of no topics. */
const silence: Center = {
  subscribe: () => () => undefined,
  getSnapshot: () => nothing,
  onNews: () => () => undefined,
};

const centers = new WeakMap<StreamClient, Map<string, Center>>();

/** The center of a client for some topics: always the same one. */
export function centerOf(client: StreamClient, topics: readonly string[]): Center {
  if (topics.length === 0) return silence;
  const known = centers.get(client) ?? new Map<string, Center>();
  centers.set(client, known);
  const name = JSON.stringify(topics);
  const center = known.get(name) ?? createCenter(client, topics);
  known.set(name, center);
  return center;
}

function createCenter(client: StreamClient, topics: readonly string[]): Center {
  const listeners = new Set<(notification: Notification) => void>();
  let entries: Entry[] = [];
  let liveSince: number | undefined;

  function onEntry(entry: Entry) {
    entries = [...entries, entry].slice(-LIMIT);
    liveSince ??= Date.now();
    if (entry.kind === 'gap' || Date.now() - liveSince < PAST) return;
    const news = readNotification(entry);
    readMarks.renew(news.key, entry.receivedAt);
    for (const tell of [...listeners]) tell(news);
  }

  const collector = {
    onEntry,
    read: (state: SubscriptionState): Inbox => {
      if (state.status.phase === 'live') liveSince ??= Date.now();
      rememberRefusal(client, state);
      const messages = entries.filter((entry) => entry.kind === 'message');
      return { ...state, notifications: messages.map(readNotification).reverse() };
    },
  };
  // Each page asks for the same number of recent events, so tabs can share them.
  const view = createView(client, topics, { last: LIMIT }, collector);

  function onNews(tell: (notification: Notification) => void) {
    listeners.add(tell);
    return () => {
      listeners.delete(tell);
    };
  }

  return { ...view, onNews };
}
