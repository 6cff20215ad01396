/** Held by every tab that can be seen, as long as it can. */
const LOCK = 'sluice:visible';

/** Says to the other tabs that this one can be seen, whenever it can; returns the function that stops. */
export function showVisibility(): () => void {
  let release: (() => void) | undefined;

  function update() {
    release?.();
    release = document.hidden ? undefined : hold();
  }

  update();
  document.addEventListener('visibilitychange', update);
  return () => {
    document.removeEventListener('visibilitychange', update);
    release?.();
  };
}

/** Shares the lock until the function that is returned is called. */
function hold(): () => void {
  const stop = new AbortController();
  const released = new Promise<void>((resolve) => {
    stop.signal.addEventListener('abort', () => resolve());
  });
  // Over plain HTTP from another machine there are no locks.
  (navigator.locks as LockManager | undefined)
    ?.request(LOCK, { mode: 'shared', signal: stop.signal }, () => released)
    .catch(() => undefined); // released before it was there
  return () => stop.abort();
}

/** Whether any tab of the app can be seen. */
export async function isAnyVisible(): Promise<boolean> {
  if (!document.hidden) return true;
  const { held = [] } = await navigator.locks.query();
  return held.some(({ name }) => name === LOCK);
}
