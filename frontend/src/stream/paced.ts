import type { Scheduler } from './frames';

/**
 * A scheduler that runs like another, but not sooner than `interval` milliseconds after the run before.
 * What comes now and then shows at once; in a flood the frames between are left to the browser.
 */
export function paced(schedule: Scheduler, interval: number): Scheduler {
  let last = -Infinity;

  return (run) => {
    let cancel: (() => void) | undefined;
    const begin = () => {
      cancel = schedule(() => {
        last = performance.now();
        run();
      });
    };
    const wait = last + interval - performance.now();
    const timer = wait > 0 ? setTimeout(begin, wait) : undefined;
    if (timer === undefined) begin();
    return () => {
      clearTimeout(timer);
      cancel?.();
    };
  };
}
