import { createKept } from '../../lib/setting';
import { storedJSON } from '../../lib/stored';

/** The notifications that the reader has seen. */
interface Marks {
  /** Notifications before this time, in milliseconds since the epoch, count as read. */
  readonly since: number;
  /** The read notifications, and when they were read, in milliseconds since the epoch. */
  readonly read: ReadonlyMap<string, number>;
}

const NAME = 'sluice:read';
/** The maximum number of marks, which is that of the list. */
const MAX_READ = 500;

const read = (before: Marks | undefined): Marks =>
  load() ?? before ?? { since: Date.now(), read: new Map() };

const kept = createKept(NAME, read, ({ since, read }) =>
  JSON.stringify({ since, read: [...read].slice(-MAX_READ) }),
);
if (!load()) kept.set(kept.getSnapshot()); // later visits count from the first one on

function change(edit: (read: Map<string, number>) => void) {
  // Another tab may have written since.
  const known = read(kept.getSnapshot());
  const marks = new Map(known.read);
  edit(marks);
  kept.set({ since: known.since, read: marks });
}

function load(): Marks | undefined {
  const { since, read } = { ...(storedJSON(NAME) as { since?: unknown; read?: unknown } | null) };
  if (typeof since !== 'number' || !Array.isArray(read) || !read.every(isRead)) return undefined;
  return { since, read: new Map(read) };
}

function isRead(pair: unknown): pair is [string, number] {
  return Array.isArray(pair) && typeof pair[0] === 'string' && typeof pair[1] === 'number';
}

/** The marks of this browser as a store, the same in all tabs. */
export const readMarks = {
  ...kept,

  mark(keys: readonly string[]) {
    change((read) => {
      for (const key of keys) {
        read.delete(key); // the newest are last
        read.set(key, Date.now());
      }
    });
  },

  /** Marks a notification that was sent again as unread, unless it was read after that time. */
  renew(key: string, at: number) {
    if ((kept.getSnapshot().read.get(key) ?? at) < at) change((read) => read.delete(key));
  },
};
