/** Reports what the browser says about the page and the network. */
export interface PageObserver {
  /** The network is back. */
  readonly onOnline?: () => void;
  /** The page is visible again, after a time in which its timers were slowed down or stopped. */
  readonly onVisible?: () => void;
  /** The page returns from the browser's back/forward cache. */
  readonly onRestored?: () => void;
  /** The page is about to end or to enter the back/forward cache. */
  readonly onGone?: () => void;
  /** The page may be about to end, for a reload perhaps; also called when it is hidden, and more than once. */
  readonly onLeaving?: () => void;
}

/** Observes the page; returns the function that stops. Does nothing outside of a page. */
export function observePage(observer: PageObserver): () => void {
  if (typeof document === 'undefined') return () => undefined;
  const stop = new AbortController();
  const { signal } = stop;
  const onPageHide = () => {
    observer.onLeaving?.();
    observer.onGone?.();
  };
  const onPageShow = ({ persisted }: PageTransitionEvent) => {
    if (persisted) observer.onRestored?.();
  };
  const onVisibility = () => {
    // A phone may end a hidden page without another event.
    if (document.visibilityState === 'visible') observer.onVisible?.();
    else observer.onLeaving?.();
  };
  window.addEventListener('online', () => observer.onOnline?.(), { signal });
  window.addEventListener('pagehide', onPageHide, { signal });
  window.addEventListener('pageshow', onPageShow, { signal });
  document.addEventListener('visibilitychange', onVisibility, { signal });
  return () => stop.abort();
}
