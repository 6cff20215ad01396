import { useEffect, useState } from 'react';
import type { Level } from './levels';
import { compileQuery, type Matcher, type Query } from './matcher';
import type { Tail } from './tail';

/** What the reader looks for, and what became of it. */
export interface FilterControl {
  readonly query: Query;
  readonly setQuery: (query: Query) => void;
  readonly hidden: ReadonlySet<Level>;
  readonly toggle: (level: Level) => void;
  /** The query in force: the last one without an error. */
  readonly matcher: Matcher | undefined;
  /** Why the query is not in force. */
  readonly problem: string | undefined;
}

interface Compiled {
  readonly matcher: Matcher | undefined;
  readonly problem?: string;
}

/** Filters a tail by what the reader types and clicks. */
export function useFilter(tail: Tail): FilterControl {
  const [query, setQuery] = useState<Query>({ text: '', isRegex: false });
  const [hidden, setHidden] = useState<ReadonlySet<Level>>(new Set());
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
    setHidden(next);
  }

  return { query, setQuery, hidden, toggle, matcher, problem };
}
