/** A storage that survives a reload of the page, but not the end of its tab. */
export interface Memory {
  /** Removes and returns the value that was kept under a name. */
  readonly take: (name: string) => unknown;
  /** Keeps a value as JSON, unless the browser has no room or forbids it. */
  readonly keep: (name: string, value: unknown) => void;
}

/** A reader who tries many topics returns to few of them. */
const MAX_KEPT = 10;

/** The version of the values. Increment it when their form changes: a page ignores values of other versions. */
const VERSION = 2;

/** A memory in the tab's session storage, of the ten newest values. */
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
      const kept = JSON.parse(text ?? 'null') as Kept | null;
      return kept?.version === VERSION ? kept.value : undefined;
    } catch {
      return undefined;
    }
  }

  function keep(name: string, value: unknown) {
    const store = storage();
    if (!store) return;
    const others = keysOf(store).filter((key) => key !== keyOf(name));
    while (others.length >= MAX_KEPT) store.removeItem(others.shift() ?? '');
    const kept: Kept = { at: Date.now(), version: VERSION, value };
    while (!set(store, keyOf(name), JSON.stringify(kept))) {
      const oldest = others.shift();
      if (oldest === undefined) return; // the page then starts fresh after a reload
      store.removeItem(oldest);
    }
  }

  /** The keys of the values, oldest first. */
  function keysOf(store: Storage): string[] {
    return Object.keys(store)
      .filter((key) => key.startsWith(keyOf('')))
      .map((key) => ({ key, at: keptAt(store.getItem(key) ?? '') }))
      .sort((a, b) => a.at - b.at)
      .map(({ key }) => key);
  }

  return { take, keep };
}

/** The time is the first field, so it can be read without parsing the value, which may be long. */
interface Kept {
  readonly at: number;
  readonly version: number;
  readonly value: unknown;
}

function keptAt(text: string): number {
  return Number(/^\{"at":(\d+)/.exec(text)?.[1] ?? 0);
}

/** Returns false if the browser has no room. */
function set(store: Storage, key: string, text: string): boolean {
  try {
    store.setItem(key, text);
    return true;
  } catch {
    return false;
  }
}
