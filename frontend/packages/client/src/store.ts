/** A value that changes, in the form that `useSyncExternalStore` and its like take. */
export interface Store<T> {
  /** Calls `onChange` after changes; returns the function that ends it. */
  readonly subscribe: (onChange: () => void) => () => void;
  /** The present value: the same object until the next change. */
  readonly getSnapshot: () => T;
}
