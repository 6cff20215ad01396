/**
 * The wire format: the names of the gateway's control events and the shape of their data.
 * All code that parses the text of an event is in this file.
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
  /** The event's id as it arrived: a cursor, or `<topic>@<cursor>`. */
  readonly id: string;
  /** `message`, or the type that the publisher gave. */
  readonly type: string;
  /** The publisher's text, unchanged. */
  readonly data: string;
}

/** The subscription is open: events published after it are not missed. */
export interface OpenFrame {
  readonly kind: 'open';
  /** The id to resume from, also if this connection breaks. */
  readonly id: string;
  readonly topics: readonly string[];
  /** Whether a cursor was sent and every topic resumes without a gap. */
  readonly resumed: boolean;
  /** The gateway that answered. */
  readonly node: string;
  /** Streams that do not exist yet, or no longer. */
  readonly missing: readonly string[];
}

/** Events may have been missed at this place. */
export interface GapFrame {
  readonly kind: 'gap';
  /** The id after which events are complete again. */
  readonly id: string;
  readonly topic: string;
  readonly reason: GapReason;
  /** The number of missed events; `null` if it cannot be known. */
  readonly lost: number | null;
}

/** Shows that the connection works while no events arrive. */
export interface PingFrame {
  readonly kind: 'ping';
  /** When it was sent, in milliseconds since the epoch by the gateway's clock; `undefined` if it cannot be parsed. */
  readonly time: number | undefined;
}

/** The gateway is about to end the connection. */
export interface CloseFrame {
  readonly kind: 'close';
  readonly reason: CloseReason;
}

export type TopicFrame = MessageFrame | GapFrame;

export type Frame = TopicFrame | OpenFrame | PingFrame | CloseFrame;

const controlFrames = new Map<string, (data: string, id: string) => Frame>([
  ['stream.open', readOpen],
  ['stream.gap', readGap],
  ['stream.ping', readPing],
  ['stream.close', readClose],
]);

/** The names of the events that the gateway itself sends. */
export const controlEvents: readonly string[] = [...controlFrames.keys()];

/** The types of the gateway's own data events: keys without a value to show, and the end of a stream. */
export const keyEvents: readonly string[] = ['key.deleted', 'key.unsupported', 'stream.end'];

/** Whether the event ends its stream: nothing of the topic follows. */
export const isEnd = (frame: Frame): frame is MessageFrame =>
  frame.kind === 'message' && frame.type === 'stream.end';

/**
 * Turns an event into a frame. A control event whose data cannot be parsed still counts as what its
 * name says: an unreadable gap is a gap.
 */
export function readFrame(
  event: Pick<MessageEvent<string>, 'type' | 'data' | 'lastEventId'>,
): Frame {
  const readControl = controlFrames.get(event.type);
  if (readControl) return readControl(event.data, event.lastEventId);
  return { kind: 'message', id: event.lastEventId, type: event.type, data: event.data };
}

function readOpen(data: string, id: string): OpenFrame {
  const { topics, resumed, node, missing } = readObject(data);
  return {
    kind: 'open',
    id,
    topics: readTopics(topics),
    missing: readTopics(missing),
    resumed: resumed === true,
    node: typeof node === 'string' ? node : '',
  };
}

function readTopics(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((topic) => typeof topic === 'string') : [];
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

/** The fields of a JSON object; none if the text is something else. */
export function readObject(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? { ...value } : {};
  } catch {
    return {};
  }
}
