/** A list that grows at its end and shrinks at its start, both cheap at any length. */
export interface Queue<T> {
  readonly length: number;
  /** The item at a place counted from the oldest; the place must be within the length. */
  at: (index: number) => T;
  push: (item: T) => void;
  /** Takes the oldest item away; `undefined` where there is none. */
  shift: () => T | undefined;
  /** A copy, oldest first. */
  toArray: () => T[];
}

/** Below this many free places at the start, moving the items is not worth it. */
const MIN_SLACK = 1_024;

export function createQueue<T>(): Queue<T> {
  let items: (T | undefined)[] = [];
  let start = 0;

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
    at: (index) => items[start + index] as T,
    push: (item) => void items.push(item),
    shift,
    toArray: () => items.slice(start) as T[],
  };
}
