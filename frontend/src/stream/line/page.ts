/** What the browser tells about the page and the network. */
export interface PageObserver {
  /** The network is back. */
  readonly onOnline?: () => void;
  /** The page can be seen again, after a time in which its timers were slowed down or stopped. */
  readonly onVisible?: () => void;
  /** The page comes back from the browser's cache of pages, where it heard nothing. */
  readonly onRestored?: () => void;
  /** The page may be about to go, for a reload perhaps. It may also stay, and this be called again. */
  readonly onLeaving?: () => void;
}

/** Observes the page; returns the function that stops. Does nothing where there is no page. */
export function observePage(observer: PageObserver): () => void {
  if (typeof document === 'undefined') return () => undefined;
  const stop = new AbortController();
  const { signal } = stop;
  window.addEventListener('online', () => observer.onOnline?.(), { signal });
  window.addEventListener('pagehide', () => observer.onLeaving?.(), { signal });
  window.addEventListener(
    'pageshow',
    ({ persisted }) => {
      if (persisted) observer.onRestored?.();
    },
    { signal },
  );
  document.addEventListener(
    'visibilitychange',
    () => {
      // A phone may end a page that is out of sight without another word.
      if (document.visibilityState === 'visible') observer.onVisible?.();
      else observer.onLeaving?.();
    },
    { signal },
  );
  return () => stop.abort();
}
