import type { Store } from '@sluice/client';
import { store, storedJSON } from '../../lib/stored';

/** The notifications that the reader has seen. */
export interface Marks {
  /** Notifications before this time, in milliseconds since the epoch, count as read. */
  readonly since: number;
  /** The read notifications, and when they were read, in milliseconds since the epoch. */
  readonly read: ReadonlyMap<string, number>;
}

/** The marks as a store, the same in all tabs. */
export interface ReadMarks extends Store<Marks> {
  readonly mark: (keys: readonly string[]) => void;
  /** Marks a notification that was sent again as unread, unless it was read after that time. */
  readonly renew: (key: string, at: number) => void;
}

const NAME = 'sluice:read';
/** The maximum number of marks, which is that of the list. */
const MAX_READ = 500;

/** Keeps what was read in the browser, for all tabs and for next time. */
function createReadMarks(): ReadMarks {
  const listeners = new Set<() => void>();
  let marks = load() ?? { since: Date.now(), read: new Map<string, number>() };
  save();

  function save() {
    const read = [...marks.read].slice(-MAX_READ);
    store(NAME, JSON.stringify({ since: marks.since, read }));
  }

  function show(next: Marks) {
    marks = next;
    listeners.forEach((onChange) => onChange());
  }

  function change(edit: (read: Map<string, number>) => void) {
    // Another tab may have written since.
    const known = load() ?? marks;
    const read = new Map(known.read);
    edit(read);
    show({ since: known.since, read });
    save();
  }

  function mark(keys: readonly string[]) {
    change((read) => {
      for (const key of keys) {
        read.delete(key); // the newest are last
        read.set(key, Date.now());
      }
    });
  }

  function renew(key: string, at: number) {
    if ((marks.read.get(key) ?? at) < at) change((read) => read.delete(key));
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

  return { mark, renew, subscribe, getSnapshot: () => marks };
}

function load(): Marks | undefined {
  const { since, read } = { ...(storedJSON(NAME) as { since?: unknown; read?: unknown } | null) };
  if (typeof since !== 'number' || !Array.isArray(read) || !read.every(isRead)) return undefined;
  return { since, read: new Map(read) };
}

function isRead(pair: unknown): pair is [string, number] {
  return Array.isArray(pair) && typeof pair[0] === 'string' && typeof pair[1] === 'number';
}

/** The marks of this browser. */
export const readMarks = createReadMarks();
