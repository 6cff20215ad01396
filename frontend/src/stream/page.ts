/** What the browser tells about the page and the network. */
export interface PageObserver {
  /** The network is back. */
  readonly onOnline: () => void;
  /** The page can be seen again, after a time in which its timers were slowed down or stopped. */
  readonly onVisible: () => void;
}

/** Observes the page; returns the function that stops. Does nothing where there is no page. */
export function observePage({ onOnline, onVisible }: PageObserver): () => void {
  if (typeof document === 'undefined') return () => undefined;
  const onVisibilityChange = () => {
    if (document.visibilityState === 'visible') onVisible();
  };
  window.addEventListener('online', onOnline);
  document.addEventListener('visibilitychange', onVisibilityChange);
  return () => {
    window.removeEventListener('online', onOnline);
    document.removeEventListener('visibilitychange', onVisibilityChange);
  };
}
