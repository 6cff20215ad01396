/** What outlives a reload of the page, but not its tab. */
export interface Memory {
  /** What was kept under a name; it is given out once. */
  readonly take: (name: string) => unknown;
  /** Keeps what can be written as JSON. Where the browser has no room or does not allow it, nothing is kept. */
  readonly keep: (name: string, value: unknown) => void;
}

/** A memory in the tab's session storage. */
export function sessionMemory(prefix: string): Memory {
  function storage(): Storage | undefined {
    try {
      return globalThis.sessionStorage;
    } catch {
      return undefined;
    }
  }

  function take(name: string): unknown {
    try {
      const text = storage()?.getItem(prefix + name);
      storage()?.removeItem(prefix + name);
      return text ? (JSON.parse(text) as unknown) : undefined;
    } catch {
      return undefined;
    }
  }

  function keep(name: string, value: unknown) {
    try {
      storage()?.setItem(prefix + name, JSON.stringify(value));
    } catch {
      // Without it the page starts afresh after a reload, which is no harm.
    }
  }

  return { take, keep };
}
