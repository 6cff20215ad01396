/** The levels of log lines, from the least to the most severe; `other` where a line names none. */
export const levels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'other'] as const;

export type Level = (typeof levels)[number];

const names = new Map<string, Level>([
  ['trace', 'trace'],
  ['verbose', 'trace'],
  ['debug', 'debug'],
  ['info', 'info'],
  ['information', 'info'],
  ['notice', 'info'],
  ['warn', 'warn'],
  ['warning', 'warn'],
  ['err', 'error'],
  ['error', 'error'],
  ['fatal', 'fatal'],
  ['panic', 'fatal'],
  ['crit', 'fatal'],
  ['critical', 'fatal'],
  ['alert', 'fatal'],
  ['emerg', 'fatal'],
  ['emergency', 'fatal'],
]);

/** The numbers that pino and bunyan give to levels, in tens. */
const tens: readonly Level[] = ['other', 'trace', 'debug', 'info', 'warn', 'error', 'fatal'];

/** The level that a field of a structured line names, as a word or as a number of pino's. */
export function levelOf(value: unknown): Level {
  if (typeof value === 'number') return tens[Math.min(Math.floor(value / 10), 6)] ?? 'other';
  if (typeof value === 'string') return names.get(value.toLowerCase()) ?? 'other';
  return 'other';
}

/** The number of characters of a plain line in which its level is searched. A later word belongs to the message. */
const HEAD = 80;

/** A word in capitals, in brackets, before a colon, or after `level=`: `error` alone may be about anything. */
const plainLevel =
  /\b([A-Z]{3,11})\b|\[([A-Za-z]{3,11})\]|\b([A-Za-z]{3,11}):|\blevel="?([A-Za-z]{3,11})/g;

/** The level that a plain line names in its head. */
export function levelInText(text: string): Level {
  for (const [, ...words] of text.slice(0, HEAD).matchAll(plainLevel)) {
    const level = levelOf(words.find(Boolean));
    if (level !== 'other') return level;
  }
  return 'other';
}
