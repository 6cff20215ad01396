/** The largest `last` that the gateway accepts. */
export const MAX_LAST = 1_000;

/** The parameter `last` of the address, or the fallback if it is not a valid number. */
export function parseLast(query: URLSearchParams, fallback: number): number {
  const last = Number(query.get('last') ?? fallback);
  return Number.isInteger(last) && last >= 0 ? Math.min(last, MAX_LAST) : fallback;
}
