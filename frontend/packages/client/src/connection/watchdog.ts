/** Detects a silent connection. */
export interface Watchdog {
  /** Starts to watch; counts as a sign of life. */
  start: () => void;
  /** A sign of life. */
  touch: () => void;
  /** Looks at the clock now rather than when the timer fires. */
  check: () => void;
  /** Stops watching and clears the timer. */
  stop: () => void;
}

/**
 * Calls `onStale` once when nothing was received for `staleAfter` milliseconds.
 *
 * A connection can die without being closed (a laptop that slept, a NAT that expired, a pulled cable), and
 * TCP does not notice for minutes. `touch` only stores the time, and the timer is set again when it
 * fires, so thousands of events a second cost no timers.
 */
export function createWatchdog(staleAfter: number, onStale: () => void): Watchdog {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let lastSign = 0;

  function start() {
    touch();
    watch(staleAfter);
  }

  function touch() {
    lastSign = Date.now();
  }

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
