import type { GapFrame, MessageFrame } from './connection/protocol.js';

/** When and in which order an entry arrived. */
export interface Arrival {
  /** Counts all entries of one subscription from 1, without holes. */
  readonly seq: number;
  /** When the entry arrived in this browser, in milliseconds since the epoch. */
  readonly receivedAt: number;
}

/** A publisher's event, as it arrived. */
export interface MessageEntry extends MessageFrame, Arrival {
  /** The topic that the event came from, such as `key:price:BTC`, also if the subscription is a glob. */
  readonly topic: string;
}

/** A place where events may be missing. */
export interface GapEntry extends GapFrame, Arrival {}

/** A message or a gap of a subscription. */
export type Entry = MessageEntry | GapEntry;
