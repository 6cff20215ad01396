import type { Store } from '../../stream/store';

/** What the reader has seen. */
export interface Marks {
  /** What happened before, in milliseconds since the epoch, was never new to this reader. */
  readonly since: number;
  readonly read: ReadonlySet<string>;
}

/** The marks as a store, the same in all tabs. */
export interface ReadMarks extends Store<Marks> {
  readonly mark: (keys: Iterable<string>) => void;
}

const NAME = 'sluice:read';
/** As many as a list ever shows; older ones do not come back. */
const MAX_READ = 500;

/** Keeps what was read in the browser, for all tabs and for next time. */
export function createReadMarks(): ReadMarks {
  const listeners = new Set<() => void>();
  let marks = load() ?? { since: Date.now(), read: new Set<string>() };
  save();

  function save() {
    try {
      const read = [...marks.read].slice(-MAX_READ);
      localStorage.setItem(NAME, JSON.stringify({ since: marks.since, read }));
    } catch {
      // It holds for this page then.
    }
  }

  function show(next: Marks) {
    marks = next;
    listeners.forEach((onChange) => onChange());
  }

  function mark(keys: Iterable<string>) {
    // Another tab may have written since.
    const known = load() ?? marks;
    show({ since: known.since, read: new Set([...known.read, ...keys]) });
    save();
  }

  function onStorage({ key }: StorageEvent) {
    const stored = key === NAME ? load() : undefined;
    if (stored) show(stored);
  }

  function subscribe(onChange: () => void) {
    if (listeners.size === 0) window.addEventListener('storage', onStorage);
    listeners.add(onChange);
    return () => {
      listeners.delete(onChange);
      if (listeners.size === 0) window.removeEventListener('storage', onStorage);
    };
  }

  return { mark, subscribe, getSnapshot: () => marks };
}

function load(): Marks | undefined {
  try {
    const { since, read } = JSON.parse(localStorage.getItem(NAME) ?? 'null') as {
      since: number;
      read: string[];
    };
    return { since, read: new Set(read) };
  } catch {
    return undefined;
  }
}
