import {
  type Channel,
  type ChannelState,
  createChannel,
  type Position,
  type TopicRequest,
} from '../connection/channel.js';
import type { ConnectionOptions } from '../connection/connection.js';
import type { Refusal } from '../connection/diagnose.js';
import { isOrdered, type Item } from '../connection/history.js';
import type { Cursor } from '../connection/plan.js';
import { mayOverlap } from '../connection/topic.js';

/** A tab's request for one topic. */
export interface Request extends TopicRequest {
  /** Unique among all requests of the tab. */
  readonly key: number;
  /** Empty for all events. */
  readonly every: string;
}

/** The state of the connections. */
export interface SharedState {
  /** By the channels' names. */
  readonly channels: Readonly<Record<string, ChannelState>>;
  /** Why the gateway does not accept the token; topics that need none are followed without it. */
  readonly tokenRefusal: Refusal | undefined;
}

/** A message of the multiplexer to one tab. */
export type Report =
  /** The request starts at a position of a channel; these are the items after its own position. */
  | {
      readonly kind: 'joined';
      readonly key: number;
      readonly channel: string;
      readonly position: Position;
      readonly items: readonly Item[];
    }
  /** The request has to be made again: under another key, from where the tab is. */
  | { readonly kind: 'again'; readonly key: number }
  /** The default topics, and their positions if the request has opened them. */
  | {
      readonly kind: 'defaults';
      readonly key: number;
      readonly topics: readonly string[];
      readonly positions: readonly Position[];
    }
  | { readonly kind: 'item'; readonly channel: string; readonly topic: string; readonly item: Item }
  /** The topics of the channel have been delivered up to the cursor. */
  | {
      readonly kind: 'cursor';
      readonly channel: string;
      readonly topics: readonly string[];
      readonly cursor: Cursor;
    }
  | { readonly kind: 'state'; readonly state: SharedState };

/** Sends reports to a tab, in order. */
export type Tab = (report: Report) => void;

/** See {@link createMultiplexer}. */
export interface Multiplexer {
  /** Replaces all requests of a tab. */
  readonly setRequests: (tab: Tab, requests: readonly Request[]) => void;
  /** Reports to a tab how far its topics have been delivered to it; called after a number of items. */
  readonly reportCursors: (tab: Tab) => void;
  readonly hasTabs: () => boolean;
  readonly retryNow: () => void;
  readonly wake: (isOnline: boolean) => void;
}

interface Joined {
  readonly tab: Tab;
  readonly request: Request;
  /** The channel that serves the request. */
  shared: SharedChannel | undefined;
}

interface SharedChannel {
  readonly name: string;
  readonly every: string;
  readonly channel: Channel;
  /** The users of each topic. */
  readonly feeds: Map<string, Set<Joined>>;
}

/**
 * Serves the requests of several tabs over as few connections as possible, normally one, and numbers the
 * events. These need a channel of their own:
 * - another `every`: the gateway counts its intervals per connection;
 * - topics that overlap: the gateway sends a copy for each, and does not say which is whose;
 * - a request for more of a followed topic's past than is kept here. The same connection would repeat
 *   events for the other tabs;
 * - a request without the past of a topic, if the past that others asked for is still to be received;
 * - topics whose names would make the URL too long.
 *
 * If two channels follow a topic from different offsets, its requests move to one of them as soon as that one keeps
 * all that they need.
 */
export function createMultiplexer(
  eventsURL: string,
  token: string,
  options: ConnectionOptions = {},
): Multiplexer {
  const channels = new Map<string, SharedChannel>();
  const tabs = new Map<Tab, Map<number, Joined>>();
  let defaults: readonly string[] | undefined;
  let state: SharedState = { channels: {}, tokenRefusal: undefined };
  let created = 0;

  function setRequests(tab: Tab, requests: readonly Request[]) {
    const before = tabs.get(tab) ?? new Map<number, Joined>();
    if (!tabs.has(tab)) tab({ kind: 'state', state });
    const leaving = new Map(before);
    for (const { key } of requests) leaving.delete(key);
    const after = new Map<number, Joined>();
    for (const request of requests) {
      const joined = before.get(request.key) ?? { tab, request, shared: undefined };
      after.set(request.key, joined);
      if (!before.has(request.key)) join(joined, leaving.values());
    }
    if (after.size > 0) tabs.set(tab, after);
    else tabs.delete(tab);
    // Last, so that a topic that another request continues is followed without a break.
    for (const joined of leaving.values()) leave(joined);
  }

  function join(joined: Joined, leaving: Iterable<Joined>) {
    const { key, topic } = joined.request;
    if (topic === '' && defaults) {
      joined.tab({ kind: 'defaults', key, topics: defaults, positions: [] });
      return;
    }
    let found = find(joined.request);
    if (!found) {
      // First removes the request that this one replaces, which may otherwise require a second channel.
      for (const old of leaving) if (old.request.topic === topic) leave(old);
      found = { shared: open(joined.request), items: [] };
    }
    enter(joined, found.shared, found.items);
  }

  function enter(joined: Joined, shared: SharedChannel, items: readonly Item[]) {
    const { key, topic, types } = joined.request;
    joined.shared = shared;
    shared.feeds.set(topic, (shared.feeds.get(topic) ?? new Set()).add(joined));
    shared.channel.hear(topic, types);
    const position = shared.channel.positionOf(topic);
    joined.tab({ kind: 'joined', key, channel: shared.name, position, items });
  }

  /** Looks for a channel with the topic and with all items that the request needs. */
  function find(request: Request) {
    for (const shared of channels.values()) {
      if (shared.every !== request.every) continue;
      const items = shared.channel.itemsFor(request);
      if (items) return { shared, items };
    }
    return undefined;
  }

  function open(request: Request): SharedChannel {
    const { topic, every } = request;
    const all = [...channels.values()];
    const shared = all.find((it) => it.every === every && it.channel.fits(topic)) ?? create(every);
    shared.channel.follow(request);
    return shared;
  }

  function create(every: string): SharedChannel {
    created += 1;
    const name = String(created);
    const observer = {
      onState: (channel: ChannelState) => {
        if (channels.has(name)) setState({ channels: { ...state.channels, [name]: channel } });
      },
      onDefaults: (topics: readonly string[], isFollowed: boolean) =>
        answer(shared, topics, isFollowed),
      onItem: (topic: string, item: Item) => deliver(shared, topic, item),
      onTokenRefused: (tokenRefusal: Refusal) => {
        if (state.tokenRefusal) return;
        setState({ tokenRefusal });
        channels.forEach(({ channel }) => channel.tokenChanged());
      },
    };
    const secret = () => (state.tokenRefusal ? '' : token);
    const channel = createChannel(eventsURL, every, observer, secret, options);
    const shared: SharedChannel = { name, every, channel, feeds: new Map() };
    channels.set(name, shared);
    return shared;
  }

  /** Answers the requests for the default topics, which stay on their connection if it is the only one. */
  function answer(shared: SharedChannel, topics: readonly string[], isFollowed: boolean) {
    const { channel, feeds } = shared;
    const users = [...(feeds.get('') ?? [])];
    const asked = users[0]?.request.from?.cursor?.id;
    const isMoving = [...channels.values()].some(
      (it) => it !== shared && it.every === shared.every && topics.every(it.channel.fits),
    );
    const isStaying = isFollowed && !isMoving;
    defaults = topics;
    feeds.delete('');
    for (const name of isStaying ? [...feeds.keys()] : ['', ...topics]) {
      // Requests that were made meanwhile, and overlap with the topics, look for another place.
      if (isStaying && !topics.some((topic) => mayOverlap(topic, name))) continue;
      feeds.get(name)?.forEach(({ tab, request }) => tab({ kind: 'again', key: request.key }));
      feeds.delete(name);
      if (!isStaying || !topics.includes(name)) channel.unfollow(name);
    }
    if (isStaying) for (const topic of topics) feeds.set(topic, new Set(users));
    for (const { tab, request } of users) {
      const positions =
        isStaying && request.from?.cursor?.id === asked ? topics.map(channel.positionOf) : [];
      tab({ kind: 'defaults', key: request.key, topics, positions });
    }
    closeIfEmpty(shared);
  }

  function deliver(shared: SharedChannel, topic: string, item: Item) {
    const receivers = new Set(Array.from(shared.feeds.get(topic) ?? [], ({ tab }) => tab));
    for (const tab of receivers) tab({ kind: 'item', channel: shared.name, topic, item });
    if (channels.size > 1 && isOrdered(topic, shared.every)) converge(shared, topic);
  }

  /** Moves the requests for the topic from one channel to another one that has all that they need. */
  function converge(shared: SharedChannel, topic: string) {
    for (const other of channels.values()) {
      if (other === shared || other.every !== shared.every || !other.feeds.has(topic)) continue;
      const isSmaller = shared.feeds.size <= other.feeds.size;
      const [source, target] = isSmaller ? [shared, other] : [other, shared];
      const from = source.channel.positionOf(topic);
      if (!from.cursor || target.channel.positionOf(topic).offset.era !== from.offset.era) continue;
      for (const joined of [...(source.feeds.get(topic) ?? [])]) {
        const items = target.channel.itemsFor({ ...joined.request, from });
        if (!items) continue;
        leave(joined);
        enter(joined, target, items);
      }
    }
  }

  function leave(joined: Joined) {
    const { shared } = joined;
    joined.shared = undefined;
    for (const [topic, users] of shared?.feeds ?? []) {
      if (!users.delete(joined) || users.size > 0) continue;
      shared?.feeds.delete(topic);
      shared?.channel.unfollow(topic);
    }
    if (shared) closeIfEmpty(shared);
  }

  function closeIfEmpty({ name, feeds, channel }: SharedChannel) {
    if (feeds.size > 0 || !channels.delete(name)) return;
    channel.close();
    const others = Object.entries(state.channels).filter(([other]) => other !== name);
    setState({ channels: Object.fromEntries(others) });
  }

  function setState(change: Partial<SharedState>) {
    state = { ...state, ...change };
    for (const tab of tabs.keys()) tab({ kind: 'state', state });
  }

  function reportCursors(tab: Tab) {
    for (const { name, feeds, channel } of channels.values()) {
      const topicsAt = new Map<Cursor, string[]>();
      for (const [topic, users] of feeds) {
        const { cursor } = channel.positionOf(topic);
        const isUsed = [...users].some((joined) => joined.tab === tab);
        if (cursor && isUsed) topicsAt.set(cursor, [...(topicsAt.get(cursor) ?? []), topic]);
      }
      for (const [cursor, topics] of topicsAt)
        tab({ kind: 'cursor', channel: name, topics, cursor });
    }
  }

  function retryNow() {
    setState({ tokenRefusal: undefined });
    channels.forEach(({ channel }) => channel.retryNow());
  }

  return {
    setRequests,
    reportCursors,
    hasTabs: () => tabs.size > 0,
    retryNow,
    wake: (isOnline) => channels.forEach(({ channel }) => channel.wake(isOnline)),
  };
}
