import type { Refusal } from './diagnose';
import type { CloseReason } from './protocol';

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
