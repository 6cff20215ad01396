import type { Refusal } from './diagnose.js';
import type { CloseReason } from './protocol.js';

/** Why there is no connection at the moment. */
export type Cause =
  /** The line was live and broke. */
  | { readonly kind: 'lost' }
  /** The line was open, but nothing came for longer than the gateway's heartbeat allows. */
  | { readonly kind: 'stale' }
  /** Nobody answers. */
  | { readonly kind: 'unreachable' }
  /** The gateway said that it ends the connection, and why. */
  | { readonly kind: 'ended'; readonly reason: CloseReason }
  /** Something answers, but not with an event stream; `refusal` comes a moment later, where it can be learnt. */
  | { readonly kind: 'refused'; readonly refusal: Refusal | undefined };

/** Where a stream stands; times are in milliseconds since the epoch. */
export type Status =
  | {
      readonly phase: 'connecting';
      /** 1 for the first try since the stream was last live, then one more for each. */
      readonly attempt: number;
      /** Why the line before this one ended; `undefined` for the first. */
      readonly cause: Cause | undefined;
    }
  | { readonly phase: 'live'; readonly since: number }
  | {
      readonly phase: 'waiting';
      /** The number of the try that comes next. */
      readonly attempt: number;
      readonly retryAt: number;
      readonly cause: Cause;
    }
  | { readonly phase: 'closed' };

/** What a page can show of its connection. */
export interface StreamStatus {
  /** The worst of the topics that this page follows. */
  readonly status: Status;
  /** Milliseconds from the gateway's clock to this one's at the last ping; the difference of the two clocks is in it. */
  readonly latency: number | undefined;
  /** Whether the connection went on where the one before it broke; `undefined` as long as none did. */
  readonly resumed: boolean | undefined;
  /** Events that gaps counted as lost to this page. */
  readonly missed: number;
  /** Gaps, those of unknown size included. */
  readonly gaps: number;
  /** When anything last came, in milliseconds since the epoch, give or take a second. */
  readonly lastActivity: number | undefined;
  /** The topics that the gateway refuses to this page. */
  readonly refused: ReadonlyMap<string, Refusal>;
  /** Why the gateway does not accept the token; topics that need none are followed without it. */
  readonly tokenRefusal: Refusal | undefined;
}

const severity = { waiting: 3, connecting: 2, closed: 1, live: 0 };

/** Where a stream stands before anything is known. */
export const connecting: Status = { phase: 'connecting', attempt: 1, cause: undefined };

/** The worst of some statuses. */
export function worst(statuses: readonly Status[]): Status {
  const [first = connecting, ...others] = statuses;
  return others.reduce((a, b) => (severity[b.phase] > severity[a.phase] ? b : a), first);
}
