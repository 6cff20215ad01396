import { type ConnectionOptions, createConnection } from './connection.js';
import { diagnose, isLasting, type Refusal } from './diagnose.js';
import {
  createHistory,
  haveSameValues,
  type History,
  isOrdered,
  type Item,
  type Offset,
  textOf,
  type Values,
} from './history.js';
import {
  type Cursor,
  cursorFrom,
  excludes,
  isSameCursor,
  MAX_URL,
  type Plan,
  planRequest,
  resumeLength,
  type Start,
  urlOf,
} from './plan.js';
import { type Frame, isEnd, keyEvents, type OpenFrame, type TopicFrame } from './protocol.js';
import { connecting, type Status } from './status.js';
import { haveOverlap, isKey, mayOverlap, subscribedAs, topicOf } from './topic.js';

/** How far a topic has been received; plain JSON. */
export interface Position {
  readonly offset: Offset;
  /** Where the gateway continues after the offset; `undefined` until it has said so. */
  readonly cursor: Cursor | undefined;
  /** Whether the topic has ended, so nothing follows. */
  readonly isEnded?: boolean;
}

export interface TopicRequest {
  /** Empty for the gateway's default topics. */
  readonly topic: string;
  /** The number of recent events to start with; `Infinity` for all entries of a stream. */
  readonly last: number;
  /** The event types to receive, besides events without a type. */
  readonly types: readonly string[];
  /** `undefined` for a fresh start. */
  readonly from: Position | undefined;
}

export interface ChannelState {
  readonly status: Status;
  readonly refused: ReadonlyMap<string, Refusal>;
  /** The streams that have ended. */
  readonly ended: ReadonlySet<string>;
  /** The streams that did not exist when the connection was opened, and of which nothing has arrived since. */
  readonly missing: ReadonlySet<string>;
  /** Whether the last reconnect missed nothing; `undefined` if there was none. */
  readonly resumed: boolean | undefined;
  /** Milliseconds from the gateway's clock to this one's at the last ping. */
  readonly latency: number | undefined;
}

/** How a channel reports what happens, synchronously and in order. */
export interface ChannelObserver {
  readonly onState: (state: ChannelState) => void;
  /** The gateway has named its default topics. `isFollowed` says whether the channel now follows them. */
  readonly onDefaults: (topics: readonly string[], isFollowed: boolean) => void;
  readonly onItem: (topic: string, item: Item) => void;
  /** The gateway does not accept the token, or no longer. */
  readonly onTokenRefused: (refusal: Refusal) => void;
}

export type Channel = ReturnType<typeof createChannel>;

interface Feed {
  readonly last: number;
  readonly begin: Position;
  readonly history: History;
  /** The event types received since the beginning. */
  readonly types: ReadonlySet<string>;
  cursor: Cursor | undefined;
  offset: Offset;
  isEnded: boolean;
  /** Whether more items follow that have the id of the newest one, as while the present values of keys arrive. */
  isPartial: boolean;
}

/** A request that was sent. */
interface Opening {
  plan: Plan;
  readonly types: ReadonlySet<string>;
  /** The types that were asked for, as a text. */
  readonly signature: string;
  /** The topics as they were followed: a topic that was added again is another one. */
  readonly feeds: Map<string, Feed>;
  /** The number of events of each topic that the request before delivered after this one was sent. */
  readonly repeats: Map<string, number>;
  /** The event types that the request before received. */
  typesBefore: ReadonlySet<string>;
  /** The newest values that the request before delivered after this one was sent, by origin. */
  readonly seen: Map<string, string>;
  /** The topics that have ended in this request. */
  readonly ended: Set<string>;
  /** Of the newest event. */
  cursor: Cursor | undefined;
}

/** Changes within this time, in milliseconds, are one change. */
export const CHANGE_DELAY = 50;

/** The event types that are always received. */
const ownTypes = ['message', ...keyEvents];

/** The gateway's limit for one request. */
const MAX_TOPICS = 64;

/**
 * Follows a changing set of topics, which must not overlap, over one connection. When the set changes, a
 * second request starts from the last id and replaces the first one after its `stream.open`; the events
 * that both deliver are passed on once.
 *
 * A refused topic must not affect the others. So when the gateway refuses a request, the channel asks for
 * each topic alone, and leaves the refused ones out until `retryNow`.
 *
 * A stream that has ended is not part of later requests. The connection is closed when all topics have ended.
 *
 * @param token - returns the token to send; empty for none
 */
export function createChannel(
  eventsURL: string,
  every: string,
  observer: ChannelObserver,
  token: () => string,
  options: ConnectionOptions = {},
) {
  const followed = new Map<string, Feed>();
  const types = new Set<string>(ownTypes);
  let refused = new Map<string, Refusal>();
  /** All topics, if all were refused: they are asked for again, until another topic is added. */
  let hopeless = new Map<string, Refusal>();
  /** The newest request, and the one that is open. */
  let latest: Opening | undefined;
  let current: Opening | undefined;
  let wasDown = false;
  let state: ChannelState = {
    ...{ status: connecting, refused, resumed: undefined, latency: undefined },
    ...{ ended: new Set(), missing: new Set() },
  };
  let timer: ReturnType<typeof setTimeout> | undefined;

  const connection = createConnection(attempt, onStatus, options);

  /** Whether the topic can be added to those that are followed. */
  function fits(topic: string): boolean {
    const names = [...followed.keys()];
    if (names.length === 0) return true;
    // A request for the default topics can name no others, so it has to be the first of its connection.
    if (topic === '') return names.every((name) => name !== '' && !followed.get(name)?.cursor);
    return (
      names.length < MAX_TOPICS &&
      !names.some((name) => mayOverlap(topic, name)) &&
      token().length + resumeLength(eventsURL, [topic, ...names]) <= MAX_URL
    );
  }

  function follow({ topic, last, types, from }: TopicRequest) {
    addTypes(types);
    const isContinued = from?.cursor && isOrdered(topic, every);
    const offset = isContinued ? from.offset : { era: newEra(), number: 0 };
    const left = current?.feeds.get(topic);
    // A topic that returns before anything of it has arrived is still open.
    if (left?.cursor && left.cursor.id === from?.cursor?.id) followed.set(topic, left);
    else add(topic, last, { cursor: undefined, ...from, offset });
    forget(topic);
    change();
  }

  function add(topic: string, last: number, { offset, cursor, isEnded = false }: Position) {
    const history = createHistory(topic, every, offset, cursor ? undefined : last);
    const begin = { offset, cursor };
    const feed: Feed = {
      ...{ begin, history, types: new Set(types), last, cursor, offset, isEnded },
      isPartial: false,
    };
    followed.set(topic, feed);
    return feed;
  }

  /**
   * The items that a request has not received; `undefined` if the channel does not have them all.
   *
   * @param values - those of the channel that serves the request now, if it is to move
   */
  function itemsFor({ topic, last, types, from }: TopicRequest, values?: Values) {
    const feed = followed.get(topic);
    if (!feed) return undefined;
    const isHeard = types.every((type) => feed.types.has(type));
    if (!from?.cursor) {
      // The past that the topic starts with is still to come.
      if (!feed.cursor && !isKey(topic) && excludes({ topic, last }, feed.last)) return undefined;
      const items = isHeard || last === 0 ? feed.history.newest(last) : undefined;
      // A new request may receive the lost entries.
      const isBroken = state.missing.has(topic) || items?.some(({ frame }) => frame.kind === 'gap');
      return last === Infinity && items?.length && isBroken ? undefined : items;
    }
    const isBegin = from.cursor.id === feed.begin.cursor?.id;
    const hasAll =
      !feed.isPartial &&
      (isSameCursor(from.cursor, feed.cursor) || haveSameValues(values, feed.history.values()));
    const since = feed.history.since(isBegin ? feed.begin.offset : from.offset);
    const items = since ?? (hasAll ? [] : undefined);
    return isHeard || items?.length === 0 ? items : undefined;
  }

  /** What another channel needs to continue a topic; `undefined` if the topic cannot move to one now. */
  function transferOf(topic: string) {
    const feed = followed.get(topic);
    // From the cursor of a part, the gateway would send all of it again.
    if (!feed?.cursor || feed.isPartial) return undefined;
    return { from: positionOf(topic), values: feed.history.values() };
  }

  function positionOf(topic: string): Position {
    const { offset = { era: '', number: 0 }, cursor, isEnded } = followed.get(topic) ?? {};
    return { offset, cursor, ...(isEnded && { isEnded }) };
  }

  function unfollow(topic: string) {
    followed.delete(topic);
    const isForgotten = [refused.delete(topic), hopeless.delete(topic)].includes(true);
    if (isForgotten) setState({ refused: allRefused() });
    forget(topic);
    change();
  }

  /** Updates the sets of ended and missing topics after a topic was added or removed. */
  function forget(topic: string) {
    const isKnown = state.ended.has(topic) || state.missing.has(topic);
    if (!isKnown && !followed.get(topic)?.isEnded) return;
    setState({ ended: allEnded(), missing: without(state.missing, topic) });
  }

  /** Adds event types to receive. A topic that is already followed continues from here with all of them. */
  function hear(topic: string, names: readonly string[]) {
    addTypes(names);
    // A request without these types delivers nothing more of the topic, so the next one misses none of its events.
    for (const opening of [current, latest]) {
      if (!opening || names.every((name) => opening.types.has(name))) continue;
      opening.feeds.delete(topic);
      change(0);
    }
  }

  function addTypes(names: readonly string[]) {
    const known = types.size;
    for (const name of names) types.add(name);
    if (types.size > known) change();
  }

  const signature = () => [...types].slice(ownTypes.length).sort().join();
  const newEra = (heard = signature()) => `${Math.random().toString(36).slice(2)} ${heard}`;
  const eraTypes = (era: string) => era.slice(era.indexOf(' ') + 1);

  function change(delay = CHANGE_DELAY) {
    if (timer && delay > 0) return;
    clearTimeout(timer);
    timer = setTimeout(() => {
      timer = undefined;
      update();
    }, delay);
  }

  function update() {
    if ([...followed.values()].every(({ isEnded }) => isEnded)) {
      connection.stop();
      return;
    }
    // A refused topic must not delay one that was added later.
    if (starts().some(({ topic }) => !hopeless.has(topic))) {
      refused = new Map([...refused, ...hopeless]);
      hopeless = new Map();
    }
    // If only refused topics are left, they are asked for again, and nothing is live until then.
    if (starts().length === 0) {
      refused = new Map();
      connection.stop();
    }
    if (isComplete(current)) {
      connection.keep();
      latest = current;
    } else if (!isPending(plan())) connection.replace();
    connection.start();
  }

  function restart() {
    current = undefined;
    connection.restart();
  }

  function isComplete(opening: Opening | undefined) {
    const wanted = starts();
    // A topic that has ended on a connection is no reason to open another one.
    const topics = openTopics(opening);
    const isOpen = ({ topic }: Start) => opening?.feeds.get(topic) === followed.get(topic);
    return (
      opening?.signature === signature() &&
      wanted.length === topics.length &&
      topics.every((topic) => followed.has(topic)) &&
      wanted.every(isOpen)
    );
  }

  /** The topics of a request that have not ended. */
  function openTopics(opening: Opening | undefined): readonly string[] {
    return opening?.plan.topics.filter((topic) => !opening.ended.has(topic)) ?? [];
  }

  /** Whether this is what the newest request asks for, which is not open yet. */
  function isPending({ topics, last }: Plan) {
    if (!latest || latest === current || latest.signature !== signature()) return false;
    return last === latest.plan.last && topics.join() === latest.plan.topics.join();
  }

  function starts(): Start[] {
    return [...followed]
      .filter(([topic, { isEnded }]) => !isEnded && !refused.has(topic))
      .map(([topic, { last, cursor }]) => ({ topic, last, cursor }));
  }

  const url = (plan: Plan) => urlOf(eventsURL, plan, { every, token: token() });
  const plan = () => planRequest(starts(), (plan) => url(plan).length);

  function attempt() {
    hopeless = new Map();
    const heard = new Set(types);
    const opening: Opening = {
      ...{ plan: plan(), types: heard, signature: signature(), typesBefore: heard },
      ...{ feeds: new Map(followed), repeats: new Map(), seen: new Map(), ended: new Set() },
      cursor: undefined,
    };
    latest = opening;
    return {
      url: url(opening.plan),
      types: heard,
      receive: (frame: Frame) => receive(opening, frame),
      explain: (signal: AbortSignal) => explain(opening, signal),
    };
  }

  function onStatus(status: Status) {
    if (status.phase !== 'live') current = undefined;
    const cause = status.phase === 'waiting' ? status.cause : undefined;
    if (cause?.kind === 'ended' && cause.reason === 'token-expired' && token() !== '') {
      observer.onTokenRefused({ status: 401, detail: 'The access token has expired.' });
    }
    // A request that was refused interrupts nothing.
    if (cause && cause.kind !== 'refused') wasDown = true;
    setState({ status });
  }

  function setState(next: Partial<ChannelState>) {
    state = { ...state, ...next };
    observer.onState(state);
  }

  function receive(opening: Opening, frame: Frame) {
    if (frame.kind === 'open') opened(opening, frame);
    if (frame.kind === 'ping' && frame.time !== undefined)
      setState({ latency: Date.now() - frame.time });
    if (frame.kind === 'message' || frame.kind === 'gap') deliver(opening, frame);
  }

  function opened(opening: Opening, frame: OpenFrame) {
    current = opening;
    const isDefaults = opening.plan.topics[0] === '';
    const isFollowed = isDefaults && !haveOverlap(frame.topics);
    if (isFollowed) adoptDefaults(opening, frame.topics);
    move(opening, frame.id);
    if (isDefaults) observer.onDefaults(frame.topics, isFollowed);
    // The gateway may have prepared this event before the entry that the request before has delivered.
    const missing = new Set(frame.missing.filter((topic) => isNewest(opening, topic)));
    for (const topic of state.missing) if (!opening.plan.topics.includes(topic)) missing.add(topic);
    setState({ refused: allRefused(), missing, ...(wasDown && { resumed: frame.resumed }) });
    wasDown = false;
    if (!isComplete(opening)) change(0);
  }

  function adoptDefaults(opening: Opening, topics: readonly string[]) {
    opening.plan = { ...opening.plan, topics };
    const asked = followed.get('')?.cursor;
    followed.delete('');
    for (const topic of topics) {
      const offset = { era: newEra(), number: 0 };
      const cursor = asked?.covers.includes(topic) ? asked : undefined;
      opening.feeds.set(topic, add(topic, opening.plan.last, { offset, cursor }));
    }
  }

  function deliver(opening: Opening, frame: TopicFrame) {
    const { topics } = opening.plan;
    const named = frame.kind === 'gap' ? frame.topic : topicOf(frame.id);
    const topic = topics.length === 1 ? topics[0] : subscribedAs(named ?? '', topics);
    const it = followed.get(topic ?? '');
    if (topic !== undefined && isEnd(frame)) opening.ended.add(topic);
    if (topic !== undefined && it && it === opening.feeds.get(topic)) {
      const origin = frame.kind === 'gap' ? frame.topic : (named ?? topic);
      const offset = isOrdered(topic, every)
        ? advance(opening, topic, it, frame)
        : advanceValue(opening, topic, it, frame, origin);
      it.isPartial = !move(opening, frame.id);
      if (offset) {
        it.offset = offset;
        it.isEnded = isEnd(frame);
        if (state.missing.has(topic)) setState({ missing: without(state.missing, topic) });
        const item = { frame, origin, ...offset, receivedAt: Date.now() };
        it.history.push(item);
        if (latest && latest !== opening) {
          latest.repeats.set(topic, (latest.repeats.get(topic) ?? 0) + 1);
          latest.typesBefore = opening.types;
        }
        observer.onItem(topic, item);
      }
    } else {
      if (topic !== undefined) opening.feeds.delete(topic);
      move(opening, frame.id);
    }
    if (isEnd(frame)) ended(opening);
  }

  /** A topic of the request has ended; the gateway closes the connection after the last one. */
  function ended(opening: Opening) {
    setState({ ended: allEnded() });
    if (openTopics(opening).length > 0) return;
    if (starts().length > 0) restart();
    else connection.stop();
  }

  const allEnded = () =>
    new Set([...followed].flatMap(([topic, { isEnded }]) => (isEnded ? [topic] : [])));

  /** The event's offset; `undefined` if the request before has delivered it already. */
  function advance(opening: Opening, topic: string, it: Feed, frame: TopicFrame) {
    const repeats = opening.repeats.get(topic) ?? 0;
    if (repeats > 0) {
      // The request before had the events that this one lacks, so its cursor is the better place to resume.
      if (frame.kind === 'gap') restart();
      // The others have new types. Nobody asked for these on this topic yet: see `hear`.
      else if (opening.typesBefore.has(frame.type)) opening.repeats.set(topic, repeats - 1);
      return undefined;
    }
    // The numbers of a replacement that starts before the gap would differ.
    if (frame.kind === 'gap' && latest !== opening) queueMicrotask(() => connection.replace());
    const { era, number } = it.offset;
    const isContinued = frame.kind !== 'gap' && eraTypes(era) === opening.signature;
    return { era: isContinued ? era : newEra(opening.signature), number: number + 1 };
  }

  /** Values may be skipped, so they are recognised by their text rather than counted. */
  function advanceValue(
    opening: Opening,
    topic: string,
    it: Feed,
    frame: TopicFrame,
    origin: string,
  ) {
    const text = textOf(frame);
    const isRepeated = text !== '' && opening.seen.get(origin) === text;
    opening.seen.delete(origin);
    if (latest && latest !== opening) latest.seen.set(origin, text);
    opening.repeats.delete(topic);
    return isRepeated ? undefined : { ...it.offset, number: it.offset.number + 1 };
  }

  /**
   * Moves the cursors of the topics of which the request has delivered as much as the one before. Returns whether the
   * event has another cursor than the one before it.
   */
  function move(opening: Opening, id: string): boolean {
    const cursor = cursorFrom(id, opening.plan.topics);
    const isOther = !isSameCursor(cursor, opening.cursor);
    opening.cursor = cursor;
    if (id === '' || opening !== current) return isOther;
    for (const topic of opening.plan.topics) {
      const it = followed.get(topic);
      if (it && isNewest(opening, topic)) it.cursor = cursor;
    }
    return isOther;
  }

  /** Whether no other request has delivered more of a followed topic. */
  function isNewest({ feeds, repeats }: Opening, topic: string) {
    const it = followed.get(topic);
    return it !== undefined && it === feeds.get(topic) && !repeats.get(topic);
  }

  async function explain(opening: Opening, signal: AbortSignal): Promise<Refusal | undefined> {
    const { plan } = opening;
    const secret = token();
    const refusal = await diagnose(url(plan), signal);
    if (refusal?.status === 204 && !signal.aborted) {
      // All topics had ended before, and the cursors did not say so.
      for (const topic of plan.topics) {
        const feed = followed.get(topic);
        if (feed && feed === opening.feeds.get(topic)) feed.isEnded = true;
      }
      setState({ ended: allEnded() });
      update();
      return undefined;
    }
    if (!refusal || !isLasting(refusal)) return refusal;
    if (refusal.status === 401 && secret !== '' && secret === token() && !signal.aborted) {
      observer.onTokenRefused(refusal);
      return undefined;
    }
    const found = await Promise.all(
      plan.topics.map(async (topic) => {
        const own = await diagnose(url({ topics: [topic], last: 0, ids: [] }), signal);
        return own && isLasting(own) ? ([[topic, own]] as const) : [];
      }),
    );
    if (signal.aborted) return undefined;
    const guilty = found.flat();
    // If no topic is left, the connection waits, and tries them all again at its slowest pace.
    if (guilty.length === starts().length) hopeless = new Map(guilty);
    else refused = new Map([...refused, ...guilty]);
    setState({ refused: allRefused() });
    if (guilty.length === 0 || hopeless.size > 0) return refusal;
    update();
    return undefined;
  }

  const allRefused = () => new Map([...refused, ...hopeless]);

  /** Tries at once, including the topics that were refused. */
  function retryNow() {
    if (refused.size > 0) change(0);
    refused = new Map();
    setState({ refused: allRefused() });
    connection.retryNow();
  }

  return {
    fits,
    follow,
    unfollow,
    hear,
    itemsFor,
    transferOf,
    positionOf,
    /** Sends a new request, with the present token. */
    tokenChanged: () => connection.replace(),
    retryNow,
    wake: (isOnline: boolean) => {
      if (isOnline) connection.retryNow();
      connection.wake();
    },
    close: () => {
      clearTimeout(timer);
      connection.stop();
    },
  };
}

function without(topics: ReadonlySet<string>, topic: string): ReadonlySet<string> {
  return new Set([...topics].filter((other) => other !== topic));
}
