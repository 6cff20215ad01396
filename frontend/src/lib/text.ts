import type { Cause, GapEntry, GapReason } from '@sluice/client';

// The first use of `Intl` loads the locale data of the browser. On a slow phone, this blocks the page longer than
// its first render, so numbers and times that the first render shows are written without it.

/** An integer with separators: `1234` → `1,234` */
export const count = (n: number): string => String(n).replace(/\B(?=(\d{3})+$)/g, ',');

/** `1 event`, `1,234 events` */
export const plural = (n: number, noun: string) => `${count(n)} ${noun}${n === 1 ? '' : 's'}`;

const gapReasons: Readonly<Record<GapReason, string>> = {
  'history-expired': 'the server no longer has them',
  'unknown-cursor': 'the server does not know the position of this page',
  'source-interrupted': 'the server lost its connection to Redis for a while',
  'slow-consumer': 'this connection was too slow to keep up',
  'too-large': 'the message was larger than the server delivers',
  unknown: 'the server did not say why',
};

/** The explanation of a gap, without a full stop: `12 events missed: this connection was …` */
export function gapText({ lost, reason }: Pick<GapEntry, 'lost' | 'reason'>): string {
  const what =
    lost === null ? 'Some events may have been missed' : `${plural(lost, 'event')} missed`;
  return `${what}: ${gapReasons[reason]}`;
}

const closeReasons: Readonly<Record<Extract<Cause, { kind: 'ended' }>['reason'], string>> = {
  draining: 'The server is shutting down, for example for an update.',
  'token-expired': 'The access token has expired.',
  unavailable: 'The server is running, but cannot reach Redis.',
  overloaded: 'The server cannot accept another connection at the moment.',
  unknown: 'The server ended the connection.',
};

/** The cause of a lost connection, in full sentences. */
export function causeText(cause: Cause, server: string): string {
  switch (cause.kind) {
    case 'lost':
      return 'The connection was lost. This page reconnects automatically and continues after the last event that it received.';
    case 'stale':
      return 'The server sent nothing for too long, so this page closed the connection.';
    case 'unreachable':
      return `Cannot reach ${server}.`;
    case 'ended':
      return closeReasons[cause.reason];
    case 'refused':
      return refusalText(cause.refusal);
  }
}

function refusalText(refusal: Extract<Cause, { kind: 'refused' }>['refusal']): string {
  if (!refusal) return 'The server did not accept the subscription.';
  const { status, detail } = refusal;
  const what =
    status >= 500
      ? `The server answered ${status}`
      : `The server did not accept the subscription (${status})`;
  return detail ? `${what}: ${detail}` : `${what}.`;
}
