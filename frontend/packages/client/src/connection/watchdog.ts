/**
 * Detects a silent connection: calls `onStale` once when nothing was received for `staleAfter` milliseconds.
 *
 * A connection can die without being closed (a laptop that slept, a NAT that expired, a pulled cable), and
 * TCP does not notice for minutes. `touch` only stores the time, and the timer is set again when it
 * fires, so thousands of events a second cost no timers.
 */
export function createWatchdog(staleAfter: number, onStale: () => void) {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let lastSign = 0;

  /** Starts to watch; counts as a sign of life. */
  function start() {
    touch();
    watch(staleAfter);
  }

  function touch() {
    lastSign = Date.now();
  }

  /** Looks at the clock now rather than when the timer fires. */
  function check() {
    if (timer === undefined) return;
    const left = lastSign + staleAfter - Date.now();
    if (left > 0) {
      watch(left);
    } else {
      stop();
      onStale();
    }
  }

  function watch(delay: number) {
    clearTimeout(timer);
    timer = setTimeout(check, delay);
  }

  function stop() {
    clearTimeout(timer);
    timer = undefined;
  }

  return { start, touch, check, stop };
}
