/** As much of a topic's past as the gateway gives. */
export const MAX_LAST = 1_000;

/** With how many recent events to begin, as the address says; the default where it says no such number. */
export function lastOf(query: URLSearchParams, fallback: number): number {
  const last = Number(query.get('last') ?? fallback);
  return Number.isInteger(last) && last >= 0 ? Math.min(last, MAX_LAST) : fallback;
}
