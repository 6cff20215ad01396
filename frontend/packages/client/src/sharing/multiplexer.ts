import {
  CHANGE_DELAY,
  type Channel,
  type ChannelObserver,
  type ChannelState,
  createChannel,
  type Position,
  type TopicRequest,
} from '../connection/channel.js';
import type { ConnectionOptions } from '../connection/connection.js';
import type { Refusal } from '../connection/diagnose.js';
import type { Item } from '../connection/history.js';
import type { Cursor } from '../connection/plan.js';
import { mayOverlap } from '../connection/topic.js';

/** A tab's request for one topic. */
export interface Request extends TopicRequest {
  /** Unique among all requests of the tab. */
  readonly key: number;
  /** Empty for all events. */
  readonly every: string;
}

export interface SharedState {
  /** By the channels' names. */
  readonly channels: ReadonlyMap<string, ChannelState>;
  /** Why the gateway does not accept the token; topics that need none are followed without it. */
  readonly tokenRefusal: Refusal | undefined;
}

export type Report =
  /** The request starts at a position of a channel; these are the items after its own position. */
  | {
      readonly kind: 'joined';
      readonly key: number;
      readonly channel: string;
      readonly position: Position;
      readonly items: readonly Item[];
    }
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

export type Multiplexer = ReturnType<typeof createMultiplexer>;

/** A request, and the tab that made it. */
interface Joined extends Request {
  readonly tab: Tab;
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
 * Requests move from one channel to another as soon as they can continue there without loss or repetition.
 */
export function createMultiplexer(
  eventsURL: string,
  token: string,
  options: ConnectionOptions = {},
) {
  const channels = new Map<string, SharedChannel>();
  const states = new Map<string, ChannelState>();
  const tabs = new Map<Tab, Map<number, Joined>>();
  let defaults: readonly string[] | undefined;
  let tokenRefusal: Refusal | undefined;
  let created = 0;
  let merging: ReturnType<typeof setTimeout> | undefined;

  /** Replaces all requests of a tab. */
  function setRequests(tab: Tab, requests: readonly Request[]) {
    const before = tabs.get(tab) ?? new Map<number, Joined>();
    if (!tabs.has(tab)) tab({ kind: 'state', state: sharedState() });
    const after = new Map(requests.map((it) => [it.key, before.get(it.key) ?? { ...it, tab }]));
    const leaving = [...before.values()].filter(({ key }) => !after.has(key));
    for (const joined of after.values()) if (!before.has(joined.key)) join(joined, leaving);
    if (after.size > 0) tabs.set(tab, after);
    else tabs.delete(tab);
    // Last, as a topic that another request continues is then followed without a break.
    for (const joined of leaving) leave(joined);
    mergeSoon();
  }

  function join(joined: Joined, leaving: readonly Joined[] = []) {
    const { key, topic, every } = joined;
    if (topic === '' && defaults) {
      joined.tab({ kind: 'defaults', key, topics: defaults, positions: [] });
      return;
    }
    for (const shared of channelsFor(every)) {
      const items = shared.channel.itemsFor(joined);
      if (items) {
        enter(joined, shared, items);
        return;
      }
    }
    // First removes the request that this one replaces, which may otherwise require a second channel.
    for (const old of leaving) if (old.topic === topic) leave(old);
    const shared = channelsFor(every).find(({ channel }) => channel.fits(topic)) ?? create(every);
    shared.channel.follow(joined);
    enter(joined, shared, []);
  }

  function enter(joined: Joined, shared: SharedChannel, items: readonly Item[]) {
    const { key, topic, types } = joined;
    shared.feeds.set(topic, (shared.feeds.get(topic) ?? new Set()).add(joined));
    shared.channel.hear(topic, types);
    const position = shared.channel.positionOf(topic);
    joined.tab({ kind: 'joined', key, channel: shared.name, position, items });
  }

  const channelsFor = (every: string) =>
    [...channels.values()].filter((shared) => shared.every === every);

  function create(every: string): SharedChannel {
    const name = String(++created);
    const observer: ChannelObserver = {
      onState: (state) => {
        if (!channels.has(name)) return;
        states.set(name, state);
        reportState();
      },
      onDefaults: (topics, isFollowed) => answer(shared, topics, isFollowed),
      onItem: (topic, item) => deliver(shared, topic, item),
      onTokenRefused: (refusal) => {
        if (tokenRefusal) return;
        tokenRefusal = refusal;
        reportState();
        channels.forEach(({ channel }) => channel.tokenChanged());
      },
    };
    const secret = () => (tokenRefusal ? '' : token);
    const channel = createChannel(eventsURL, every, observer, secret, options);
    const shared: SharedChannel = { name, every, channel, feeds: new Map() };
    channels.set(name, shared);
    return shared;
  }

  /** Answers the requests for the default topics. */
  function answer(shared: SharedChannel, topics: readonly string[], isFollowed: boolean) {
    const { channel, feeds } = shared;
    const users = [...(feeds.get('') ?? [])];
    const asked = users[0]?.from?.cursor?.id;
    // Requests that overlap with the topics have received nothing yet, and join another channel.
    const displaced = [...feeds].flatMap(([name, others]) =>
      topics.some((topic) => mayOverlap(topic, name)) ? [...others] : [],
    );
    defaults = topics;
    if (isFollowed) {
      feeds.delete('');
      for (const topic of topics) feeds.set(topic, new Set(users));
    } else {
      for (const joined of users) leave(joined);
    }
    for (const { tab, key, from } of users) {
      const isShared = isFollowed && from?.cursor?.id === asked;
      const positions = isShared ? topics.map(channel.positionOf) : [];
      tab({ kind: 'defaults', key, topics, positions });
    }
    for (const joined of displaced) {
      leave(joined);
      join(joined);
    }
  }

  function deliver(shared: SharedChannel, topic: string, item: Item) {
    const receivers = new Set(Array.from(shared.feeds.get(topic) ?? [], ({ tab }) => tab));
    for (const tab of receivers) tab({ kind: 'item', channel: shared.name, topic, item });
    mergeSoon();
  }

  /** Not for each event, since the comparison reads everything that the channels keep. */
  function mergeSoon() {
    if (channels.size < 2) return;
    merging ??= setTimeout(() => {
      merging = undefined;
      channels.forEach((target) => channels.forEach((source) => merge(source, target)));
    }, CHANGE_DELAY);
  }

  /** Moves the requests of a channel to a live one, as far as that one has all items that they need. */
  function merge(source: SharedChannel, target: SharedChannel) {
    const isLive = ({ name }: SharedChannel) => states.get(name)?.status.phase === 'live';
    if (source === target || source.every !== target.every || !isLive(target)) return;
    if (source.feeds.size > target.feeds.size && isLive(source)) return;
    for (const [topic, users] of source.feeds) {
      const transfer = source.channel.transferOf(topic);
      // A tab that has asked for the default topics is about to ask for each of them.
      if (!transfer || [...users].some((joined) => joined.topic !== topic)) continue;
      const types = [...users].flatMap((it) => it.types);
      const request = { topic, last: 0, types, from: transfer.from };
      if (target.channel.fits(topic)) target.channel.follow(request);
      const items = target.channel.itemsFor(request, transfer.values);
      if (!items) continue;
      for (const joined of users) {
        enter(joined, target, items);
        leave(joined, [source]);
      }
    }
  }

  function leave(joined: Joined, left: Iterable<SharedChannel> = channels.values()) {
    for (const { name, channel, feeds } of left) {
      for (const [topic, users] of feeds) {
        if (!users.delete(joined) || users.size > 0) continue;
        feeds.delete(topic);
        channel.unfollow(topic);
      }
      if (feeds.size > 0 || !channels.delete(name)) continue;
      channel.close();
      states.delete(name);
      reportState();
    }
  }

  const sharedState = () => ({ channels: new Map(states), tokenRefusal });

  function reportState() {
    for (const tab of tabs.keys()) tab({ kind: 'state', state: sharedState() });
    mergeSoon();
  }

  /** Reports to a tab how far its topics have been delivered to it; called after a number of items. */
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
    tokenRefusal = undefined;
    reportState();
    channels.forEach(({ channel }) => channel.retryNow());
  }

  return {
    setRequests,
    reportCursors,
    hasTabs: () => tabs.size > 0,
    retryNow,
    wake: (isOnline: boolean) => channels.forEach(({ channel }) => channel.wake(isOnline)),
  };
}
