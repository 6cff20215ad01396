/**
 * What the gateway says on the wire: the names of its control events and the shape of their data.
 * Everything that reads an event's text is in this file.
 */

const gapReasons = [
  'history-expired',
  'unknown-cursor',
  'source-interrupted',
  'slow-consumer',
  'too-large',
] as const;
const closeReasons = ['draining', 'token-expired', 'unavailable', 'overloaded'] as const;

/** Why events may have been missed; `unknown` stands for a reason that this client does not know. */
export type GapReason = (typeof gapReasons)[number] | 'unknown';

/** Why the gateway ended a connection; `unknown` stands for a reason that this client does not know. */
export type CloseReason = (typeof closeReasons)[number] | 'unknown';

/** A publisher's event. */
export interface MessageFrame {
  readonly kind: 'message';
  /** The event's id as it came; a cursor, or `<topic>@<cursor>`. */
  readonly id: string;
  /** `message`, or the type that the publisher gave. */
  readonly type: string;
  /** The publisher's text, unchanged. */
  readonly data: string;
}

/** The subscription is on: what is published from here on is not missed. */
export interface OpenFrame {
  readonly kind: 'open';
  /** From where the subscription goes on, whatever becomes of this connection. */
  readonly id: string;
  readonly topics: readonly string[];
  /** A cursor was sent, and every topic goes on where it stopped. */
  readonly resumed: boolean;
  /** The gateway that answered. */
  readonly node: string;
}

/** Events may have been missed at this place. */
export interface GapFrame {
  readonly kind: 'gap';
  /** From where events are complete again. */
  readonly id: string;
  readonly topic: string;
  readonly reason: GapReason;
  /** How many events were missed; `null` where nobody can know. */
  readonly lost: number | null;
}

/** Nothing happened for a while, and the line works. */
export interface PingFrame {
  readonly kind: 'ping';
  /** When it was sent, in milliseconds since the epoch by the gateway's clock; `undefined` where that cannot be read. */
  readonly time: number | undefined;
}

/** The gateway is about to end the connection. */
export interface CloseFrame {
  readonly kind: 'close';
  readonly reason: CloseReason;
}

/** Anything that can arrive on the line. */
export type Frame = MessageFrame | OpenFrame | GapFrame | PingFrame | CloseFrame;

/** The part of a DOM `MessageEvent` that carries an event. */
export interface WireEvent {
  readonly type: string;
  readonly data: string;
  readonly lastEventId: string;
}

const controlFrames = new Map<string, (data: string, id: string) => Frame>([
  ['stream.open', readOpen],
  ['stream.gap', readGap],
  ['stream.ping', readPing],
  ['stream.close', readClose],
]);

/** The names of the events that the gateway itself sends. */
export const controlEvents: readonly string[] = [...controlFrames.keys()];

/** The types of data events that the gateway makes up by itself, for keys that have no value to show. */
export const keyEvents: readonly string[] = ['key.deleted', 'key.unsupported'];

/**
 * Turns an event into a frame. A control event with unreadable data still counts as what its name
 * says: a gap that cannot be read is a gap all the same.
 */
export function readFrame(event: WireEvent): Frame {
  const readControl = controlFrames.get(event.type);
  if (readControl) return readControl(event.data, event.lastEventId);
  return { kind: 'message', id: event.lastEventId, type: event.type, data: event.data };
}

function readOpen(data: string, id: string): OpenFrame {
  const { topics, resumed, node } = readObject(data);
  return {
    kind: 'open',
    id,
    topics: Array.isArray(topics) ? topics.filter((topic) => typeof topic === 'string') : [],
    resumed: resumed === true,
    node: typeof node === 'string' ? node : '',
  };
}

function readGap(data: string, id: string): GapFrame {
  const { topic, reason, lost } = readObject(data);
  return {
    kind: 'gap',
    id,
    topic: typeof topic === 'string' ? topic : '',
    reason: gapReasons.find((known) => known === reason) ?? 'unknown',
    lost: typeof lost === 'number' ? lost : null,
  };
}

function readPing(data: string): PingFrame {
  const { time } = readObject(data);
  const sent = typeof time === 'string' ? Date.parse(time) : NaN;
  return { kind: 'ping', time: Number.isNaN(sent) ? undefined : sent };
}

function readClose(data: string): CloseFrame {
  const { reason } = readObject(data);
  return { kind: 'close', reason: closeReasons.find((known) => known === reason) ?? 'unknown' };
}

function readObject(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? { ...value } : {};
  } catch {
    return {};
  }
}
