import type { Position } from './connection/channel.js';
import type { Refusal } from './connection/diagnose.js';
import { type Item, type Offset } from './connection/history.js';
import { keyEvents } from './connection/protocol.js';
import { connecting, type Status, type StreamStatus, worst } from './connection/status.js';
import type { Report, Request, SharedState } from './sharing/multiplexer.js';

/** One topic of a subscription. Its functions must not throw. */
export interface Wanted extends Omit<Request, 'key'> {
  readonly onItem: (item: Item) => void;
  /** What `served` of the topic returns has changed. */
  readonly onServed: () => void;
  /** Called instead if the topic is empty: with the default topics, and their positions if they are known. */
  readonly onDefaults: (topics: readonly string[], positions: readonly Position[]) => void;
}

export interface Served {
  readonly status: Status;
  readonly refusal: Refusal | undefined;
  /** Whether the topic has ended, and its last event has been passed on. */
  readonly isEnded: boolean;
  /** Whether the topic is a stream that does not exist. */
  readonly isMissing: boolean;
}

/** A topic as its subscription sees it. */
export type Followed = ReturnType<Requests['add']>;

export type Requests = ReturnType<typeof createRequests>;

interface Entry {
  readonly wanted: Wanted;
  key: number;
  /** The channel that serves the request; `undefined` until it is known. */
  channel: string | undefined;
  /** The last item that was passed on, and the last position that could be resumed from. */
  offset: Offset | undefined;
  position: Position | undefined;
}

const closed: Status = { phase: 'closed' };
const nothing: SharedState = { channels: new Map(), tokenRefusal: undefined };

/** How exactly the time of the last activity is reported, in milliseconds: not each event needs a render. */
const ACTIVITY = 1_000;

/** Whether the topic's connection matters: a refused topic waits for long, and one that has ended needs none. */
export const isOpen = ({ refusal, isEnded }: Served): boolean => !refusal && !isEnded;

const isWanted = (type: string, { types }: Wanted) =>
  type === 'message' || keyEvents.includes(type) || types.includes(type);

/**
 * Keeps the page's requests, each with its own cursor, and passes each item on to the requests for its topic.
 *
 * @param onChange - the requests have changed
 * @param onStatus - what `status` returns has changed
 */
export function createRequests(onChange: () => void, onStatus: () => void) {
  const entries = new Set<Entry>();
  let state = nothing;
  /** Whether the host has answered since the last renewal. Until then, the state can be that of another token. */
  let isCurrent = false;
  let lastActivity: number | undefined;
  let keys = 0;
  /** The gaps of each topic followed, by offset, and the events lost: several requests can receive the same gap. */
  const losses = new Map<string, Map<string, number>>();

  const fresh = () => ({ key: ++keys, channel: undefined, offset: undefined });

  function add(wanted: Wanted) {
    const entry: Entry = { wanted, ...fresh(), position: wanted.from };
    entries.add(entry);
    onChange();
    return {
      position: () => entry.position,
      served: () => served(entry),
      end: () => {
        entries.delete(entry);
        const { topic } = wanted;
        if (![...entries].some((other) => other.wanted.topic === topic)) losses.delete(topic);
        onChange();
        onStatus();
      },
    };
  }

  function served({ wanted, channel, position }: Entry): Served {
    const { status, refused, ended, missing } = state.channels.get(channel ?? '') ?? {};
    const refusal = refused?.get(wanted.topic);
    // A connection can be live before it has opened this topic.
    const isOn = status && (status.phase !== 'live' || position?.cursor !== undefined);
    const isEnded = position?.isEnded === true || ended?.has(wanted.topic) === true;
    return {
      status: isEnded ? closed : isOn ? status : connecting,
      isEnded,
      isMissing: missing?.has(wanted.topic) === true,
      // A token that is no longer valid is the reason that a reader can understand.
      refusal: refusal?.status === 401 ? (tokenRefusal() ?? refusal) : refusal,
    };
  }

  const tokenRefusal = () => (isCurrent ? state.tokenRefusal : undefined);

  function receive(reports: readonly Report[]) {
    for (const report of reports) {
      if (report.kind === 'state') setState(report.state);
      else if (report.kind === 'item') deliver(report.channel, report.topic, report.item);
      else if (report.kind === 'cursor') move(report);
      else for (const entry of entries) if (entry.key === report.key) answer(entry, report);
    }
  }

  function answer(entry: Entry, report: Report) {
    isCurrent = true;
    if (report.kind === 'joined') {
      for (const item of report.items) {
        pass(entry, item);
        // The observer may end the subscription.
        if (!entries.has(entry)) return;
      }
      entry.channel = report.channel;
      entry.position = report.position;
      entry.offset = report.position.offset;
      entry.wanted.onServed();
      onStatus();
    } else if (report.kind === 'defaults') {
      entries.delete(entry);
      entry.wanted.onDefaults(report.topics, report.positions);
      onChange();
    }
  }

  function deliver(channel: string, topic: string, item: Item) {
    if (Date.now() - (lastActivity ?? 0) >= ACTIVITY) {
      lastActivity = Date.now();
      onStatus();
    }
    for (const entry of entries) {
      if (entry.channel === channel && entry.wanted.topic === topic) pass(entry, item);
    }
  }

  function pass(entry: Entry, item: Item) {
    const { frame, era, number } = item;
    entry.offset = { era, number };
    if (frame.kind === 'gap') count(entry.wanted.topic, item, frame.lost);
    // The connection receives the types of all requests.
    else if (!isWanted(frame.type, entry.wanted)) return;
    entry.wanted.onItem(item);
  }

  function count(topic: string, { era, number }: Item, lost: number | null) {
    const known = losses.get(topic) ?? new Map<string, number>();
    losses.set(topic, known.set(`${era} ${number}`, lost ?? 0));
    onStatus();
  }

  /** All items up to the cursor have been passed on. */
  function move({ channel, topics, cursor }: Report & { kind: 'cursor' }) {
    for (const entry of entries) {
      const { wanted, position, offset } = entry;
      if (entry.channel !== channel || !topics.includes(wanted.topic) || !offset) continue;
      const { isEnded } = served(entry);
      entry.position = { offset, cursor, ...(isEnded && { isEnded }) };
      if (position?.cursor) continue;
      wanted.onServed();
      onStatus();
    }
  }

  function setState(next: SharedState) {
    state = next;
    onStatus();
    for (const { wanted } of entries) wanted.onServed();
  }

  /** All requests, each from the position that it has reached. */
  function all(): Request[] {
    return Array.from(entries, ({ key, position, wanted: { topic, every, last, types } }) => ({
      ...{ key, topic, every, last, types, from: position },
    }));
  }

  function status(): StreamStatus {
    const channels = [...state.channels.values()];
    const states = Array.from(entries, (it) => ({ topic: it.wanted.topic, ...served(it) }));
    const gaps = [...losses.values()].flatMap((known) => [...known.values()]);
    const open = states.filter(isOpen);
    const resumed = channels.map((channel) => channel.resumed).filter((it) => it !== undefined);
    return {
      status: worst((open.length > 0 ? open : states).map((it) => it.status)),
      latency: channels.find(({ latency }) => latency !== undefined)?.latency,
      resumed: resumed.length > 0 ? resumed.every(Boolean) : undefined,
      gaps: gaps.length,
      missed: gaps.reduce((sum, lost) => sum + lost, 0),
      ...{ lastActivity, tokenRefusal: tokenRefusal() },
      refused: new Map(states.flatMap(({ topic, refusal }) => (refusal ? [[topic, refusal]] : []))),
    };
  }

  /** Prepares to send all requests to another host, or with another token. */
  function renew() {
    isCurrent = false;
    for (const entry of entries) {
      Object.assign(entry, fresh());
      entry.wanted.onServed();
    }
  }

  return { add, all, renew, receive, status };
}
