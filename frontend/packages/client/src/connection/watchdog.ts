/** Notices that a line has gone silent. */
export interface Watchdog {
  /** Begins to watch; counts as a sign of life. */
  start: () => void;
  /** A sign of life. */
  touch: () => void;
  /** Looks at the clock now rather than when the timer fires. */
  check: () => void;
  /** Stops watching; no timer stays behind. */
  stop: () => void;
}

/**
 * Calls `onStale` once when nothing was heard for `staleAfter` milliseconds.
 *
 * A line can die without a word (a laptop that slept, a NAT that forgot, a cable pulled further up),
 * and neither side's TCP notices for minutes. `touch` only writes down the time, and the timer is set
 * anew when it fires: thousands of events a second then cost no timers.
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
