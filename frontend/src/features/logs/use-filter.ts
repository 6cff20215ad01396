import { useEffect, useEffectEvent, useState } from 'react';
import type { ScreenProps } from '../../ui/screen-props';
import { readNarrowing, writeNarrowing } from './filter-query';
import type { Level } from './levels';
import { compileQuery, type Matcher, type Query } from './matcher';
import type { Tail } from './tail';

export type FilterControl = ReturnType<typeof useFilter>;

/** The query in force, which is the last one without an error, and why another one is not. */
interface Compiled {
  readonly matcher: Matcher | undefined;
  readonly problem?: string;
}

/** How long to wait for the next key before the address changes, in milliseconds: browsers limit how often it may. */
const TYPING = 300;

/** Filters a tail by what the reader types and clicks, and keeps that in the address. */
export function useFilter(tail: Tail, address: Pick<ScreenProps, 'query' | 'setQuery'>) {
  const [narrowing, setNarrowing] = useState(() => readNarrowing(address.query));
  const { query, hidden } = narrowing;
  const [seen, setSeen] = useState(address.query);
  if (address.query !== seen) {
    setSeen(address.query);
    // The address is also changed by links and by the Back button.
    const isOwn = writeNarrowing(address.query, narrowing).toString() === address.query.toString();
    if (!isOwn) setNarrowing(readNarrowing(address.query));
  }
  const [{ matcher, problem }, setCompiled] = useState<Compiled>({ matcher: undefined });

  useEffect(() => {
    let isCurrent = true;
    compileQuery(query).then(
      (matcher) => {
        if (isCurrent) setCompiled({ matcher });
      },
      (error: unknown) => {
        const problem = error instanceof Error ? error.message : String(error);
        if (isCurrent) setCompiled((before) => ({ matcher: before.matcher, problem }));
      },
    );
    return () => {
      isCurrent = false;
    };
  }, [query]);

  useEffect(() => tail.setFilter({ hidden, matcher }), [tail, hidden, matcher]);

  function toggle(level: Level) {
    const next = new Set(hidden);
    if (!next.delete(level)) next.add(level);
    setNarrowing({ query, hidden: next });
  }

  const share = useEffectEvent(() => {
    const next = writeNarrowing(address.query, narrowing);
    if (next.toString() !== address.query.toString()) address.setQuery(next);
  });

  useEffect(() => {
    const timer = setTimeout(() => share(), TYPING);
    return () => clearTimeout(timer);
  }, [narrowing]);

  const setQuery = (next: Query) => setNarrowing({ query: next, hidden });
  return { query, setQuery, hidden, toggle, matcher, problem };
}
