import { useSyncExternalStore } from 'react';
import type { Store } from '@sluice/client';
import { store, stored } from './stored';

/** Something that the reader has chosen, for all tabs and for next time. */
export interface Setting<T extends string> extends Store<T> {
  readonly set: (value: T) => void;
}

/** Keeps a choice among some values in the browser; the first is the default. */
export function createSetting<T extends string>(
  name: string,
  values: readonly [T, ...T[]],
): Setting<T> {
  const listeners = new Set<() => void>();
  let current = load();

  function load(): T {
    const text = stored(name);
    return values.find((known) => known === text) ?? values[0];
  }

  function show(next: T) {
    current = next;
    listeners.forEach((onChange) => onChange());
  }

  function onStorage({ key }: StorageEvent) {
    if (key === name) show(load());
  }

  return {
    getSnapshot: () => current,
    subscribe: (onChange) => {
      if (listeners.size === 0) window.addEventListener('storage', onStorage);
      listeners.add(onChange);
      return () => {
        listeners.delete(onChange);
        if (listeners.size === 0) window.removeEventListener('storage', onStorage);
      };
    },
    set: (next) => {
      show(next);
      store(name, next);
    },
  };
}

/** The value of a setting. */
export function useSetting<T extends string>({ subscribe, getSnapshot }: Setting<T>): T {
  return useSyncExternalStore(subscribe, getSnapshot);
}
