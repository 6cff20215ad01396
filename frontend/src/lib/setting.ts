import { useSyncExternalStore } from 'react';
import type { Store } from '@sluice/client';
import { store, stored } from './stored';

/** A value that the browser keeps for all tabs and for next time. */
interface Setting<T> extends Store<T> {
  readonly set: (value: T) => void;
}

/**
 * Keeps a value under a name in the browser. It follows other tabs until the page is closed.
 *
 * @param read - reads it from there; it is called with the present value, which is `undefined` at first
 */
export function createKept<T>(
  name: string,
  read: (before: T | undefined) => T,
  format: (value: T) => string | undefined,
): Setting<T> {
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
    subscribe: (onChange) => {
      listeners.add(onChange);
      return () => listeners.delete(onChange);
    },
    set: (next) => {
      show(next);
      store(name, format(next));
    },
  };
}

/** Keeps a choice among some values; the first is the default. */
export function createSetting<T extends string>(
  name: string,
  values: readonly [T, ...T[]],
): Setting<T> {
  const read = () => values.find((known) => known === stored(name)) ?? values[0];
  return createKept(name, read, (value) => value);
}

export function useSetting<T>({ subscribe, getSnapshot }: Setting<T>): T {
  return useSyncExternalStore(subscribe, getSnapshot);
}
