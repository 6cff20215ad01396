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
import { createTail, isAfter, isNext, isOrdered, type Item, type Mark, type Tail } from './history';
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
  /** What has come, for who comes to this tab when it leads. */
  past: Tail | undefined;
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
  let missed = 0;
  let gaps = 0;
  const counted = new Map<string, Mark>();

  function nextKey() {
    keys += 1;
    return `${self}/${keys}`;
  }

  function want(wanted: Wanted, onServed: () => void): Followed {
    const position = copyOf(wanted.from);
    const entry: Entry = {
      ...{ wanted, onServed, key: nextKey(), joining: true },
      ...{ position, past: undefined },
    };
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
      entry.past ??= createPast(entry, position, items);
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
        const { position, wanted, joining } = entry;
        // The answer to who joins has all that comes before it, and more may come of who led before.
        if (joining || wanted.topic !== topic || position?.lane !== lane) continue;
        if (isHole(position, item)) askAgain(entry);
        else take(entry, item);
      }
    }
    for (const entry of entries) move(entry, reached);
  }

  function take({ position, past, wanted }: Entry, item: Item) {
    if (!position || !isAfter(item, position)) return;
    position.era = item.era;
    position.number = item.number;
    past?.push(item);
    if (item.frame.kind === 'gap') count(position.lane, wanted.topic, item);
    try {
      wanted.onItem(item);
    } catch (error) {
      // One that fails must not keep events from the others; it is reported like any error of the page.
      queueMicrotask(() => {
        throw error;
      });
    }
  }

  /** Counts a gap once, whichever subscriptions it comes to. */
  function count(lane: string, topic: string, item: Item) {
    const name = `${lane} ${topic}`;
    const before = counted.get(name);
    if (item.frame.kind !== 'gap' || (before && !isAfter(item, before))) return;
    counted.set(name, item);
    gaps += 1;
    missed += item.frame.lost ?? 0;
    onStatus();
  }

  /** Items that this tab never heard of lie before the one that came. */
  function askAgain(entry: Entry) {
    rekey(entry);
    onChange();
  }

  const isHole = (position: Position, item: Item) =>
    isAfter(item, position) && !isNext(item, position);

  /** Who has come exactly as far as a connection goes on from its place, also where nothing came of the topic. */
  function move(entry: Entry, reached: Readonly<Record<string, Reached>>) {
    const { position, wanted, onServed, joining } = entry;
    if (!position || joining) return;
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
    const { latency, resumed } = state;
    const all = Array.from(entries, served);
    const open = all.filter(({ refusal }) => !refusal);
    return {
      ...{ latency, resumed, missed, gaps, lastActivity, refused: new Map(state.refused) },
      // What is refused waits for long, which says nothing of the connection.
      status: worst((open.length > 0 ? open : all).map(({ status }) => status)),
    };
  }

  return {
    want,
    rejoin: () => entries.forEach(rekey),
    wants,
    pastOf: (key) => [...entries].find((entry) => entry.key === key)?.past,
    onJoined,
    onItems,
    onState,
    status,
  };
}

function createPast({ wanted, position }: Entry, joined: Position, [first]: readonly Item[]) {
  if (!isOrdered(wanted.topic, wanted.every)) return undefined;
  if (position) return createTail({ era: position.era, number: position.number }, 0);
  const begin = first ? { era: first.era, number: first.number - 1 } : joined;
  return createTail({ era: begin.era, number: begin.number }, wanted.last);
}

const copyOf = (position: Position | undefined) => position && { ...position };
