import type { Refusal } from '../line/diagnose';
import {
  type ExchangeState,
  initialState,
  type Joined,
  type Position,
  type Reached,
  type Want,
} from './exchange';
import type { Delivery, Member } from './member';
import { isAfter, type Item } from './history';
import { randomName } from './random-name';
import { connecting, type Status, type StreamStatus, worst } from '../line/status';

/** One topic of one subscription. */
export interface Wanted {
  readonly topic: string;
  readonly every: string;
  readonly last: number;
  readonly events: readonly string[];
  readonly from: Position | undefined;
  readonly onItem: (item: Item) => void;
}

/** How a topic is served. */
export interface Served {
  readonly status: Status;
  readonly refusal: Refusal | undefined;
}

/** What a tab wants, and how far it has come; see {@link createMembership}. */
export interface Membership extends Member {
  /** Wants a topic from now on; returns what ends it, and what tells how it goes. */
  readonly want: (wanted: Wanted, onServed: () => void) => Followed;
  readonly status: () => StreamStatus;
}

/** A want as its subscription sees it. */
export interface Followed {
  readonly end: () => void;
  readonly position: () => Position | undefined;
  readonly served: () => Served;
}

interface Entry {
  readonly wanted: Wanted;
  readonly onServed: () => void;
  key: string;
  /** Said again, and not answered yet. */
  joining: boolean;
  /** Changed in place, as each event moves it; others get copies. */
  position: Mutable<Position> | undefined;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

interface Options {
  /** What is wanted has changed. */
  readonly onChange: () => void;
  /** What {@link Membership.status} returns has changed. */
  readonly onStatus: () => void;
}

/** How exactly the time of the last activity is told, in milliseconds: not every event is worth a picture. */
const ACTIVITY = 1_000;

/**
 * Keeps the wants of a tab, and takes each item to those that have not seen it yet. It knows neither
 * connections nor other tabs; those talk to it as a {@link Member}.
 */
export function createMembership({ onChange, onStatus }: Options): Membership {
  const self = randomName();
  const entries = new Set<Entry>();
  let state: ExchangeState = initialState;
  let lastActivity: number | undefined;
  let keys = 0;

  function nextKey() {
    keys += 1;
    return `${self}/${keys}`;
  }

  function want(wanted: Wanted, onServed: () => void): Followed {
    const position = copyOf(wanted.from);
    const entry: Entry = { wanted, onServed, key: nextKey(), joining: true, position };
    entries.add(entry);
    onChange();
    return {
      position: () => copyOf(entry.position),
      served: () => served(entry),
      end: () => {
        entries.delete(entry);
        onChange();
      },
    };
  }

  function served({ wanted, position }: Entry): Served {
    const refusal = state.refused.find(([topic]) => topic === wanted.topic)?.[1];
    const status = position && state.lanes[position.lane];
    // A connection can be live before it has come to this topic.
    const isOn = status && (status.phase !== 'live' || position.place !== undefined);
    return { status: isOn ? status : connecting, refusal };
  }

  function onJoined({ key, position, items }: Joined) {
    for (const entry of entries) {
      if (entry.key !== key) continue;
      entry.position ??= { ...position, number: -1, place: undefined, era: 0 };
      for (const item of items) take(entry, item);
      const furthest = isAfter(entry.position, position) ? entry.position : position;
      entry.position = { ...furthest, lane: position.lane };
      entry.joining = false;
      entry.onServed();
    }
  }

  function onItems(deliveries: readonly Delivery[], reached: Readonly<Record<string, Reached>>) {
    if (deliveries.length > 0 && Date.now() - (lastActivity ?? 0) >= ACTIVITY) {
      lastActivity = Date.now();
      onStatus();
    }
    for (const { lane, topic, item } of deliveries) {
      for (const entry of entries) {
        if (entry.wanted.topic !== topic || entry.position?.lane !== lane) continue;
        if (isHole(entry.position, item)) lose(entry);
        else take(entry, item);
      }
    }
    for (const entry of entries) move(entry, reached);
  }

  function take(entry: Entry, item: Item) {
    if (!entry.position || !isAfter(item, entry.position)) return;
    entry.position.era = item.era;
    entry.position.number = item.number;
    entry.wanted.onItem(item);
  }

  /** Items that this tab never heard of lie before the one that came: they are asked for again. */
  function lose(entry: Entry) {
    if (entry.joining) return;
    rekey(entry);
    onChange();
  }

  function isHole(position: Position, item: Item) {
    return item.era === position.era && item.number > position.number + 1;
  }

  /** Who has come exactly as far as a connection goes on from its place, also where nothing came of the topic. */
  function move({ position, wanted, onServed }: Entry, reached: Readonly<Record<string, Reached>>) {
    if (!position) return;
    const now = reached[position.lane];
    const mark = now?.marks[wanted.topic];
    if (!mark || !now.place.covers.includes(wanted.topic)) return;
    if (mark.era !== position.era || mark.number !== position.number) return;
    const isFirst = position.place === undefined;
    position.place = now.place;
    if (!isFirst) return;
    onServed();
    onStatus();
  }

  function onState(next: ExchangeState) {
    state = next;
    onStatus();
    for (const entry of entries) entry.onServed();
  }

  function rekey(entry: Entry) {
    entry.key = nextKey();
    entry.joining = true;
  }

  function wants(): Want[] {
    return Array.from(entries, ({ key, position, wanted: { topic, every, last, events } }) => ({
      ...{ key, topic, every, last, events, from: copyOf(position) },
    }));
  }

  function status(): StreamStatus {
    const { lanes, latency, resumed, missed, gaps } = state;
    const refused = new Map(state.refused);
    const waitedFor = Array.from(entries, served)
      .filter(({ refusal }) => !refusal)
      .map(({ status }) => status);
    return {
      ...{ latency, resumed, missed, gaps, lastActivity, refused },
      status: worst([...Object.values(lanes), ...waitedFor]),
    };
  }

  return {
    want,
    rejoin: () => entries.forEach(rekey),
    wants,
    onJoined,
    onItems,
    onState,
    status,
  };
}

const copyOf = (position: Position | undefined) => position && { ...position };
