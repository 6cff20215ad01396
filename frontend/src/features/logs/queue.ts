/** Below this many free places at the start, moving the items is not worth it. */
const MIN_SLACK = 1_024;

export type Queue<T> = ReturnType<typeof createQueue<T>>;

/** A list that grows at its end and shrinks at its start, both cheap at any length. */
export function createQueue<T>() {
  let items: (T | undefined)[] = [];
  let start = 0;

  /** Removes and returns the oldest item; `undefined` if the list is empty. */
  function shift(): T | undefined {
    if (start === items.length) return undefined;
    const item = items[start];
    items[start] = undefined;
    start += 1;
    // Array.shift moves everything each time; this moves it once per so many items as there are.
    if (start >= MIN_SLACK && start * 2 >= items.length) {
      items = items.slice(start);
      start = 0;
    }
    return item;
  }

  return {
    get length() {
      return items.length - start;
    },
    /** The item at an index from the oldest one; the index must be below the length. */
    at: (index: number) => items[start + index] as T,
    push: (item: T) => void items.push(item),
    shift,
    /** A copy, oldest first. */
    toArray: () => items.slice(start) as T[],
  };
}
