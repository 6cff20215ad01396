/** The time in a message, in milliseconds since the epoch, if it has one in RFC 3339. */
export function timeOf(message: unknown): number | undefined {
  if (typeof message !== 'object' || message === null) return undefined;
  const { time }: { time?: unknown } = message;
  const parsed = typeof time === 'string' ? Date.parse(time) : NaN;
  return Number.isNaN(parsed) ? undefined : parsed;
}
