/** How long to wait between tries to connect. */
export interface BackoffOptions {
  /** The shortest wait in milliseconds: the first retry comes after one to two times this. Default 1000. */
  readonly base?: number;
  /** The longest wait in milliseconds. Default 30000. */
  readonly max?: number;
  /** A number in [0, 1). Default `Math.random`. */
  readonly random?: () => number;
}

/**
 * The wait before the next try, after `failures` tries in a row have failed: random between one and
 * two times a step that doubles from `base` until it reaches half of `max`.
 *
 * The lower end keeps one page from hammering the server; the random upper half spreads the many
 * pages that lost the same server at the same moment, and would otherwise all reconnect at once.
 */
export function backoff(failures: number, options: BackoffOptions = {}): number {
  const { base = 1_000, max = 30_000, random = Math.random } = options;
  const step = Math.min(base * 2 ** (failures - 1), max / 2);
  return step * (1 + random());
}
