import type { Refusal } from './diagnose.js';
import type { CloseReason } from './protocol.js';

/** The reason why the connection is not open. */
export type Cause =
  /** The connection was live and broke. */
  | { readonly kind: 'lost' }
  /** The connection was open, but silent for longer than the gateway's heartbeat interval allows. */
  | { readonly kind: 'stale' }
  /** The gateway does not answer. */
  | { readonly kind: 'unreachable' }
  /** The gateway announced that it closes the connection. */
  | { readonly kind: 'ended'; readonly reason: CloseReason }
  /** The answer is not an event stream; `refusal` is set a moment later, if it can be found out. */
  | { readonly kind: 'refused'; readonly refusal: Refusal | undefined };

/** The state of a connection; times are in milliseconds since the epoch. */
export type Status =
  | {
      readonly phase: 'connecting';
      /** The number of this try since the connection was last live, from 1. */
      readonly attempt: number;
      /** Why the previous connection ended; `undefined` for the first. */
      readonly cause: Cause | undefined;
    }
  | { readonly phase: 'live'; readonly since: number }
  | {
      readonly phase: 'waiting';
      /** The number of the next try. */
      readonly attempt: number;
      readonly retryAt: number;
      readonly cause: Cause;
    }
  | { readonly phase: 'closed' };

/** The state of a page's connection. */
export interface StreamStatus {
  /** The worst of the topics that this page follows. */
  readonly status: Status;
  /** Milliseconds from the gateway's clock to this one's at the last ping; includes the difference of the two clocks. */
  readonly latency: number | undefined;
  /** Whether the last reconnect missed nothing; `undefined` if there was none. */
  readonly resumed: boolean | undefined;
  /** The number of events that gaps of the topics followed now reported as lost. */
  readonly missed: number;
  /** The number of these gaps, including those of unknown size. */
  readonly gaps: number;
  /** When the last event arrived, in milliseconds since the epoch, within a second. */
  readonly lastActivity: number | undefined;
  /** The topics that the gateway refuses to this page. */
  readonly refused: ReadonlyMap<string, Refusal>;
  /** Why the gateway does not accept the token; topics that need none are followed without it. */
  readonly tokenRefusal: Refusal | undefined;
}

const severity = { waiting: 3, connecting: 2, closed: 1, live: 0 };

/** The status before the first try. */
export const connecting: Status = { phase: 'connecting', attempt: 1, cause: undefined };

/** The worst of some statuses. */
export function worst(statuses: readonly Status[]): Status {
  const [first = connecting, ...others] = statuses;
  return others.reduce((a, b) => (severity[b.phase] > severity[a.phase] ? b : a), first);
}
