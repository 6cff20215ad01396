/** What outlives a reload of the page, but not its tab. */
export interface Memory {
  /** What was kept under a name; it is given out once. */
  readonly take: (name: string) => unknown;
  /** Keeps what can be written as JSON. Where the browser has no room or does not allow it, nothing is kept. */
  readonly keep: (name: string, value: unknown) => void;
}

/** Whoever tries one topic after the other leaves something of each, and comes back to few of them. */
const MAX_KEPT = 10;

/** A memory in the tab's session storage, of the ten things that were kept last. */
export function sessionMemory(prefix: string): Memory {
  const keyOf = (name: string) => `${prefix} ${name}`;

  function storage(): Storage | undefined {
    try {
      return globalThis.sessionStorage;
    } catch {
      return undefined;
    }
  }

  function take(name: string): unknown {
    try {
      const text = storage()?.getItem(keyOf(name));
      storage()?.removeItem(keyOf(name));
      return text ? (JSON.parse(text) as Kept).value : undefined;
    } catch {
      return undefined;
    }
  }

  function keep(name: string, value: unknown) {
    const store = storage();
    if (!store) return;
    const others = keysOf(store).filter((key) => key !== keyOf(name));
    while (others.length >= MAX_KEPT) store.removeItem(others.shift() ?? '');
    const kept: Kept = { at: Date.now(), value };
    while (!set(store, keyOf(name), JSON.stringify(kept))) {
      const oldest = others.shift();
      if (oldest === undefined) return; // the page starts afresh after a reload, which is no harm
      store.removeItem(oldest);
    }
  }

  /** The keys of what is kept, oldest first. */
  function keysOf(store: Storage): string[] {
    return Object.keys(store)
      .filter((key) => key.startsWith(keyOf('')))
      .map((key) => ({ key, at: keptAt(store.getItem(key) ?? '') }))
      .sort((a, b) => a.at - b.at)
      .map(({ key }) => key);
  }

  return { take, keep };
}

/** The time comes first, so that it can be read without the rest, which may be long. */
interface Kept {
  readonly at: number;
  readonly value: unknown;
}

function keptAt(text: string): number {
  return Number(/^\{"at":(\d+)/.exec(text)?.[1] ?? 0);
}

/** `false` where the browser has no room for it. */
function set(store: Storage, key: string, text: string): boolean {
  try {
    store.setItem(key, text);
    return true;
  } catch {
    return false;
  }
}
