import { type MessageEntry, parse } from '@sluice/client';
import { timeOf } from '../../lib/time-of';

const severities = ['info', 'success', 'warning', 'critical'] as const;

export type Severity = (typeof severities)[number];

export interface Notification {
  /** The same in every tab and after every reload, and for all that say the same of the same time. */
  readonly key: string;
  readonly seq: number;
  readonly title: string;
  readonly body: string;
  readonly severity: Severity;
  /** When it happened, in milliseconds since the epoch. */
  readonly at: number;
}

/** The longest text of a notification, in characters. */
const MAX_TEXT = 500;

/**
 * Reads an event as a notification. Any event can be one: an object's `title`, `body`, `severity` and `time`
 * are used where they are there, and other text is the title as it stands.
 */
export function readNotification({ data, seq, topic, receivedAt }: MessageEntry): Notification {
  const { value } = parse<unknown>(data);
  const fields = typeof value === 'object' && value !== null ? value : { title: data };
  const { title, body, severity }: Readonly<Record<string, unknown>> = { ...fields };
  return {
    key: `${topic} ${data}`,
    seq,
    title: (typeof title === 'string' && title !== '' ? title : data).slice(0, MAX_TEXT),
    body: (typeof body === 'string' ? body : '').slice(0, MAX_TEXT),
    severity: severities.find((known) => known === severity) ?? 'info',
    at: timeOf(value) ?? receivedAt,
  };
}
