import type { Refusal } from '../line/diagnose';
import {
  createTail,
  createValues,
  type History,
  isAfter,
  isOrdered,
  type Item,
  type Mark,
  type Tail,
} from './history';
import { createLine, type Line, type LineOptions } from '../line/line';
import type { Place } from '../line/opening';
import type { Frame, OpenFrame } from '../line/protocol';
import { randomName } from './random-name';
import type { Status } from '../line/status';
import { isKey, mayOverlap, topicOf } from '../line/topic';

/** What one subscription of a tab wants of one topic. */
export interface Want {
  /** Unlike that of every other want, in all tabs. */
  readonly key: string;
  readonly topic: string;
  /** Empty for all events. */
  readonly every: string;
  readonly last: number;
  readonly events: readonly string[];
  /** Where it was left; `undefined` for a fresh start. */
  readonly from: Position | undefined;
}

/** How far a want has come. */
export interface Position extends Mark {
  readonly lane: string;
  /** Where to go on when nobody has what comes after the mark. */
  readonly place: Place | undefined;
}

/** How far a connection has come. */
export interface Reached {
  readonly place: Place;
  /** Of each topic, the item after which the place is: it is of no use to who has come less far, or further. */
  readonly marks: Readonly<Record<string, Mark>>;
}

/** Tells a tab where one of its wants begins, and what came until now. */
export interface Joined {
  readonly key: string;
  readonly position: Position;
  readonly items: readonly Item[];
}

/** How the connections are. */
export interface ExchangeState {
  readonly lanes: Readonly<Record<string, Status>>;
  readonly refused: readonly (readonly [topic: string, refusal: Refusal])[];
  readonly latency: number | undefined;
  readonly resumed: boolean | undefined;
}

/** What the exchange does when nothing has happened yet. */
export const initialState: ExchangeState = {
  lanes: {},
  refused: [],
  latency: undefined,
  resumed: undefined,
};

/** Is told what is to be passed on, synchronously and in order. */
export interface ExchangeObserver {
  readonly onJoined: (tab: string, joined: Joined) => void;
  readonly onItem: (lane: string, topic: string, item: Item, reached: Reached | undefined) => void;
  /** A connection has opened; all that came before has been passed on. */
  readonly onReached: (lane: string, reached: Reached) => void;
  readonly onState: (state: ExchangeState) => void;
}

/** What a tab has of a want's past, by the want's key. */
export type PastOf = (key: string) => Tail | undefined;

/** Follows what several tabs want; see {@link createExchange}. */
export interface Exchange {
  /** Replaces all that a tab wants. Where the tab is this one, it can give what it has of the past. */
  readonly setWants: (tab: string, wants: readonly Want[], pastOf?: PastOf) => void;
  readonly retryNow: () => void;
  readonly close: () => void;
}

interface Feed {
  readonly topic: string;
  readonly history: History;
  /** Where it begins: what came after that has passed here. */
  readonly begin: Mark;
  /** What {@link begin} is for the gateway; `undefined` for a fresh start. */
  readonly place: Place | undefined;
  /** The types of events that it has heard from its beginning. */
  readonly types: ReadonlySet<string>;
  readonly users: Set<string>;
}

interface Lane {
  readonly id: string;
  readonly every: string;
  readonly line: Line;
  readonly feeds: Map<string, Feed>;
  /** Those of the feeds, by topic. */
  readonly marks: Record<string, Mark>;
  refused: ReadonlyMap<string, Refusal>;
  wasDown: boolean;
}

/** The gateway's limit for one subscription. */
const MAX_TOPICS = 64;

let lastEra = 0;
/** Later than the era before, also where the clock went back, and by its fraction unlike that of any other tab. */
function nextEra(before = 0) {
  lastEra = Math.max(Date.now(), Math.ceil(lastEra), Math.ceil(before)) + Math.random();
  return lastEra;
}

/**
 * Follows what several tabs want over as few connections as can be, as a rule one, and numbers what comes.
 *
 * The connections are lanes. One is not enough for:
 * - another `every`: the gateway counts its intervals per connection;
 * - topics that overlap: the gateway sends a copy for each, and does not say which is whose;
 * - more of a topic's past than is remembered here of one that is followed already. Asking for it on the
 *   same connection would repeat events for those who have them.
 */
export function createExchange(
  eventsURL: string,
  { onJoined, onItem, onReached, onState }: ExchangeObserver,
  options: LineOptions,
): Exchange {
  const lanes = new Map<string, Lane>();
  const tabs = new Map<string, Map<string, Lane>>();
  let state = initialState;

  function setWants(tab: string, wants: readonly Want[], pastOf: PastOf = () => undefined) {
    const before = tabs.get(tab) ?? new Map<string, Lane>();
    const leaving = new Map(before);
    for (const { key } of wants) leaving.delete(key);
    const after = new Map(
      wants.map((want) => [want.key, before.get(want.key) ?? join(tab, want, leaving, pastOf)]),
    );
    if (after.size > 0) tabs.set(tab, after);
    else tabs.delete(tab);
    // Only now, so that a topic that another want takes over is followed without a break.
    for (const [key, lane] of leaving) leave(lane, key);
  }

  function join(tab: string, want: Want, leaving: ReadonlyMap<string, Lane>, pastOf: PastOf): Lane {
    const { lane, feed, items } = find(want) ?? openInsteadOf(leaving, want, pastOf);
    feed.users.add(want.key);
    lane.line.hear(want.events);
    const place = lane.line.placeOf(want.topic);
    const here = { ...markOf(lane, want.topic), place };
    // A tab can have heard more from the leader before this one.
    const position = want.from && isAfter(want.from, here) ? want.from : here;
    onJoined(tab, { key: want.key, position: { ...position, lane: lane.id }, items });
    return lane;
  }

  /** Looks for the topic among those that are followed, with all that the want has not seen of it. */
  function find(want: Want) {
    for (const lane of lanes.values()) {
      const feed = lane.feeds.get(want.topic);
      const isElsewhere = want.from?.place && want.from.lane !== lane.id;
      if (!feed || lane.every !== want.every || isElsewhere) continue;
      const items = unseen(feed, want);
      if (items) return { lane, feed, items };
    }
    return undefined;
  }

  /** What of a feed a want has not seen, or asks for of the past; `undefined` where that is not known. */
  function unseen({ history, begin, place, types }: Feed, { last, events, from }: Want) {
    if (from?.place) {
      const isBegin = from.place.id === place?.id && isAfter(begin, from);
      return history.since(isBegin ? begin : from);
    }
    const isHeard = last === 0 || events.every((type) => types.has(type));
    return isHeard ? history.newest(last) : undefined;
  }

  /** Makes room first by what the tab follows no more, so that no other connection is needed beside it. */
  function openInsteadOf(leaving: ReadonlyMap<string, Lane>, want: Want, pastOf: PastOf) {
    for (const [key, lane] of leaving) {
      if (lane.feeds.get(want.topic)?.users.has(key)) leave(lane, key);
    }
    return open(want, pastOf);
  }

  function open({ key, topic, every, last, events, from }: Want, pastOf: PastOf) {
    const left = from?.place ? from : undefined;
    const lane = laneFor(topic, every, left?.lane);
    const ordered = isOrdered(topic, every);
    // Values have no order to number by: on another connection, others may have been left out.
    const mark = left && ordered ? left : { era: nextEra(left?.era), number: 0 };
    const begin: Mark = { era: mark.era, number: mark.number };
    const history = ordered
      ? (tailFrom(begin, left && pastOf(key)) ?? createTail(begin, left ? 0 : last))
      : createValues({ begin, isState: isKey(topic), depth: left ? undefined : last });
    lane.line.hear(events);
    const types = new Set(lane.line.heard());
    const feed: Feed = { topic, history, begin, place: left?.place, types, users: new Set() };
    lane.feeds.set(topic, feed);
    lane.marks[topic] = begin;
    lane.line.follow(topic, last, left?.place);
    return { lane, feed, items: [] };
  }

  /** A past that ends where the feed begins, so that who comes later gets it too. */
  function tailFrom(begin: Mark, past: Tail | undefined) {
    return past?.since(begin)?.length === 0 ? past.copy() : undefined;
  }

  function laneFor(topic: string, every: string, id: string | undefined): Lane {
    const fits = ({ feeds }: Lane) =>
      feeds.size < MAX_TOPICS && ![...feeds.keys()].some((other) => mayOverlap(topic, other));
    const same = [...lanes.values()].filter((lane) => lane.every === every && fits(lane));
    const known = id === undefined ? same[0] : same.find((lane) => lane.id === id);
    if (known) return known;
    const isFree = id !== undefined && !lanes.has(id);
    return openLane(isFree ? id : newLaneId(every), every);
  }

  function newLaneId(every: string) {
    const first = `${every}#`;
    return lanes.has(first) ? first + randomName() : first;
  }

  function openLane(id: string, every: string): Lane {
    const observer = {
      onStatus: (status: Status) => setStatus(lane, status),
      onFrame: (frame: Frame, topic: string) => receive(lane, frame, topic),
      onRefused: (refused: ReadonlyMap<string, Refusal>) => {
        lane.refused = refused;
        setState({ refused: [...lanes.values()].flatMap((one) => [...one.refused]) });
      },
    };
    const line = createLine(eventsURL, every, observer, options);
    const lane: Lane = {
      ...{ id, every, line, feeds: new Map(), marks: {} },
      ...{ refused: new Map(), wasDown: false },
    };
    lanes.set(id, lane);
    return lane;
  }

  function leave(lane: Lane, key: string) {
    for (const { topic, users } of lane.feeds.values()) {
      if (!users.delete(key) || users.size > 0) continue;
      lane.feeds.delete(topic);
      Reflect.deleteProperty(lane.marks, topic);
      lane.line.unfollow(topic);
    }
    if (lane.feeds.size > 0) return;
    lane.line.close();
    lanes.delete(lane.id);
    const others = Object.entries(state.lanes).filter(([id]) => id !== lane.id);
    setState({ lanes: Object.fromEntries(others) });
  }

  function setStatus(lane: Lane, status: Status) {
    if (status.phase === 'waiting') lane.wasDown = true;
    if (lanes.has(lane.id)) setState({ lanes: { ...state.lanes, [lane.id]: status } });
  }

  function receive(lane: Lane, frame: Frame, topic: string) {
    if (frame.kind === 'open') opened(lane, frame);
    if (frame.kind === 'ping' && frame.time !== undefined) {
      setState({ latency: Date.now() - frame.time });
    }
    const feed = lane.feeds.get(topic);
    if (!feed || (frame.kind !== 'message' && frame.kind !== 'gap')) return;
    const { era, number } = markOf(lane, topic);
    const mark = { era: frame.kind === 'gap' ? nextEra(era) : era, number: number + 1 };
    lane.marks[topic] = mark;
    const origin = frame.kind === 'gap' ? frame.topic : (topicOf(frame.id) ?? topic);
    const item: Item = { frame, origin, ...mark, receivedAt: Date.now() };
    feed.history.push(item);
    onItem(lane.id, topic, item, reachedBy(lane));
  }

  function opened(lane: Lane, { resumed }: OpenFrame) {
    if (lane.wasDown) setState({ resumed });
    lane.wasDown = false;
    const reached = reachedBy(lane);
    if (reached) onReached(lane.id, reached);
  }

  function reachedBy({ line, marks }: Lane): Reached | undefined {
    const place = line.place();
    return place && { place, marks };
  }

  function markOf({ marks }: Lane, topic: string): Mark {
    return marks[topic] ?? { era: 0, number: 0 };
  }

  function setState(more: Partial<ExchangeState>) {
    state = { ...state, ...more };
    onState(state);
  }

  return {
    setWants,
    retryNow: () => lanes.forEach(({ line }) => line.retryNow()),
    close: () => {
      const lines = [...lanes.values()].map(({ line }) => line);
      lanes.clear(); // first, so that nobody hears of the end
      lines.forEach((line) => line.close());
    },
  };
}
