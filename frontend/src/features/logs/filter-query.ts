import { levels } from './levels';

/** The filter of the lines, as in the address. */
export type Narrowing = ReturnType<typeof readNarrowing>;

export function readNarrowing(address: URLSearchParams) {
  const hidden = address.get('hide')?.split(',') ?? [];
  return {
    query: { text: address.get('filter') ?? '', isRegex: address.has('regex') },
    hidden: new Set(levels.filter((level) => hidden.includes(level))),
  };
}

/** The address with another narrowing; the rest of it stays. */
export function writeNarrowing(
  address: URLSearchParams,
  { query, hidden }: Narrowing,
): URLSearchParams {
  const next = new URLSearchParams(address);
  for (const name of ['filter', 'regex', 'hide']) next.delete(name);
  if (query.text !== '') next.set('filter', query.text);
  if (query.isRegex) next.set('regex', '1');
  if (hidden.size > 0) next.set('hide', levels.filter((level) => hidden.has(level)).join());
  return next;
}
