import { useSyncExternalStore } from 'react';
import type { Store } from '@sluice/client';
import { store, stored } from './stored';

/**
 * Keeps a value under a name in the browser, for all tabs and for next time. It follows other tabs until the page is closed.
 *
 * @param read - reads it from there; it is called with the present value, which is `undefined` at first
 */
export function createKept<T>(
  name: string,
  read: (before: T | undefined) => T,
  format: (value: T) => string | undefined,
) {
  const listeners = new Set<() => void>();
  let current = read(undefined);

  function show(next: T) {
    current = next;
    listeners.forEach((onChange) => onChange());
  }

  window.addEventListener('storage', ({ key }) => {
    if (key === name) show(read(current));
  });

  return {
    getSnapshot: () => current,
    subscribe: (onChange: () => void) => {
      listeners.add(onChange);
      return () => listeners.delete(onChange);
    },
    set: (next: T) => {
      show(next);
      store(name, format(next));
    },
  };
}

/** Keeps a choice among some values; the first is the default. */
export function createSetting<T extends string>(name: string, values: readonly [T, ...T[]]) {
  const read = () => values.find((known) => known === stored(name)) ?? values[0];
  return createKept<T>(name, read, (value) => value);
}

export function useSetting<T>({ subscribe, getSnapshot }: Store<T>): T {
  return useSyncExternalStore(subscribe, getSnapshot);
}
