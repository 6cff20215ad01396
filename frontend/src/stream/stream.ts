import { type BufferBounds, createBuffer } from './buffer';
import { type ConnectionOptions, createConnection } from './connection';
import { createBatch, nextFrame, type Scheduler } from './frames';
import {
  type Frame,
  type GapFrame,
  type MessageFrame,
  type OpenFrame,
  soleTopic,
  topicOf,
} from './protocol';
import type { Status } from './status';

interface Arrival {
  /** Counts all entries of this stream from 1, without holes. */
  readonly seq: number;
  /** Where the entry came from; empty where that is not known. */
  readonly topic: string;
  /** When it arrived here, in milliseconds since the epoch. */
  readonly receivedAt: number;
}

/** A publisher's event, as it arrived. */
export type MessageEntry = MessageFrame & Arrival;

/** A place where events may be missing. */
export type GapEntry = GapFrame & Arrival;

/** What a stream consists of, in order of arrival. */
export type Entry = MessageEntry | GapEntry;

/** Everything that a view can show of a stream at one moment. Never changes; a new one replaces it. */
export interface StreamSnapshot {
  readonly status: Status;
  /** The newest messages and gaps in order of arrival, oldest first, no more than the limit. */
  readonly entries: readonly Entry[];
  /** All messages so far, also those that are no longer among `entries`. */
  readonly received: number;
  /** All events that gaps counted as lost. */
  readonly missed: number;
  /** Entries let go to stay within the limits. */
  readonly dropped: number;
  /** What the gateway said when the present or last connection opened. */
  readonly opened: OpenFrame | undefined;
  /** When anything was last heard, in milliseconds since the epoch. */
  readonly lastActivity: number | undefined;
}

/** How a stream behaves; every option has a default. */
export interface StreamOptions extends ConnectionOptions {
  /** How many entries to keep. Default 200. */
  readonly limit?: number;
  /** How many characters of data to keep, as large payloads would otherwise fill the memory. Default 16 Mi. */
  readonly maxCharacters?: number;
  /** When to tell subscribers of changes. Default: once per animation frame. */
  readonly schedule?: Scheduler;
}

/** A followed subscription; see {@link createStream}. */
export interface Stream {
  /**
   * Follows the stream; returns the function that ends it. `onChange` is called after changes, once per
   * frame however many events came. The first subscriber opens the connection, the last one closes it;
   * whoever subscribes later goes on from where that was.
   */
  readonly subscribe: (onChange: () => void) => () => void;
  /** The present state: the same object until the next change. */
  readonly getSnapshot: () => StreamSnapshot;
  /** Tries to connect at once rather than at the time planned. */
  readonly retryNow: () => void;
}

/**
 * A subscription to the gateway's `/events` as a store: what arrived, how the connection is, and a
 * notification when either changes. It opens nothing before somebody subscribes.
 *
 * @param url - absolute, or relative to the page
 */
export function createStream(url: string, options: StreamOptions = {}): Stream {
  const { limit = 200, maxCharacters = 16 * 1024 * 1024, schedule = nextFrame } = options;
  const buffer = createBuffer(entryBounds(limit, maxCharacters));
  const connection = createConnection(url, { onStatus, onFrame }, options);
  const publishing = createBatch(publish, schedule);
  const subscribers = new Set<() => void>();

  // A view's first picture comes before it subscribes, and should not say that the stream is closed.
  let status: Status = { phase: 'connecting', attempt: 1, cause: undefined };
  let opened: OpenFrame | undefined;
  let lastActivity: number | undefined;
  let received = 0;
  let missed = 0;
  let seq = 0;
  let snapshot = takeSnapshot();

  function onStatus(next: Status) {
    status = next;
    publishing.request();
  }

  function onFrame(frame: Frame) {
    lastActivity = Date.now();
    if (frame.kind === 'open') opened = frame;
    else if (frame.kind === 'message') addMessage(frame);
    else if (frame.kind === 'gap') addGap(frame);
    publishing.request();
  }

  function addMessage(frame: MessageFrame) {
    received += 1;
    const topic = soleTopic(opened?.topics ?? []) ?? topicOf(frame.id) ?? '';
    buffer.push({ ...frame, seq: nextSeq(), topic, receivedAt: Date.now() });
  }

  function addGap(frame: GapFrame) {
    missed += frame.lost ?? 0;
    buffer.push({ ...frame, seq: nextSeq(), receivedAt: Date.now() });
  }

  function nextSeq() {
    seq += 1;
    return seq;
  }

  function publish() {
    snapshot = takeSnapshot();
    for (const onChange of [...subscribers]) onChange();
  }

  function takeSnapshot(): StreamSnapshot {
    const entries = buffer.toArray();
    return { status, entries, received, missed, dropped: buffer.dropped(), opened, lastActivity };
  }

  function subscribe(onChange: () => void) {
    subscribers.add(onChange);
    connection.start();
    return () => {
      subscribers.delete(onChange);
      if (subscribers.size === 0) close();
    };
  }

  function close() {
    connection.stop();
    publishing.cancel();
    snapshot = takeSnapshot();
  }

  return { subscribe, getSnapshot: () => snapshot, retryNow: connection.retryNow };
}

function entryBounds(limit: number, maxCharacters: number): BufferBounds<Entry> {
  return {
    limit,
    maxSize: maxCharacters,
    sizeOf: (entry) => (entry.kind === 'message' ? entry.data.length : 0),
  };
}
