import { useSyncExternalStore } from 'react';
import { base, urlOf } from '../lib/base';

/** Dispatched after `pushState`, which dispatches no event. */
const MOVED = 'sluice:moved';

function subscribe(onChange: () => void) {
  const events = ['popstate', MOVED];
  for (const name of events) window.addEventListener(name, onChange);
  return () => {
    for (const name of events) window.removeEventListener(name, onChange);
  };
}

/** A path of the page as a path of the app. */
const appPath = (pathname: string) =>
  pathname.startsWith(base) ? `/${pathname.slice(base.length)}` : pathname;

/** The path of the address, without the path that the app is served below. */
export const currentPath = () => appPath(window.location.pathname).replace(/(.)\/+$/, '$1');

const currentSearch = () => window.location.search;

/** The path and the query of the address. */
export function useLocation(): { path: string; search: string } {
  return {
    path: useSyncExternalStore(subscribe, currentPath),
    search: useSyncExternalStore(subscribe, currentSearch),
  };
}

/** The address that each path was left with. */
const left = new Map<string, string>();

/** The address of a screen with the query that it had last, until a reload. */
export function lastAddress(path: string): string {
  return left.get(path) ?? path;
}

/** Goes to another screen. */
export function navigate(address: string) {
  const path = appPath(window.location.pathname);
  left.set(path, path + window.location.search);
  window.history.pushState(undefined, '', urlOf(address));
  window.dispatchEvent(new Event(MOVED));
}

/** Changes the query of the address; the Back button returns to the one before only if `isStep` is true. */
export function changeQuery(query: URLSearchParams, isStep = false) {
  const text = query.toString();
  const change = isStep ? 'pushState' : 'replaceState';
  window.history[change](undefined, '', window.location.pathname + (text && `?${text}`));
  window.dispatchEvent(new Event(MOVED));
}
