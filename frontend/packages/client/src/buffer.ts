export interface BufferBounds<T> {
  /** The largest number of entries. */
  readonly limit: number;
  /** The largest sum of sizes; a single entry is kept whatever its size. */
  readonly maxSize: number;
  readonly sizeOf: (entry: T) => number;
}

/** Creates an empty buffer of the newest entries, bounded in number and in size. Adding is cheap at any rate of events and any `limit`. */
export function createBuffer<T>({ limit, maxSize, sizeOf }: BufferBounds<T>) {
  let entries: (T | undefined)[] = [];
  let start = 0;
  let size = 0;
  let dropped = 0;

  /** Adds an entry, and evicts the oldest ones if a bound is exceeded. */
  function push(entry: T) {
    entries.push(entry);
    size += sizeOf(entry);
    while (length() > limit || (size > maxSize && length() > 1)) drop();
  }

  function drop() {
    size -= sizeOf(entries[start] as T);
    entries[start] = undefined;
    start += 1;
    dropped += 1;
    // To move the rest for each entry would cost its length; once half of the array is empty, it costs one step.
    if (start > entries.length / 2) {
      entries = entries.slice(start);
      start = 0;
    }
  }

  const length = () => entries.length - start;

  return {
    push,
    length,
    last: () => (length() > 0 ? entries.at(-1) : undefined),
    /** A copy of the newest `count` entries, oldest first. */
    toArray: (count = Infinity) => entries.slice(Math.max(start, entries.length - count)) as T[],
    /** The number of entries evicted so far. */
    dropped: () => dropped,
  };
}
