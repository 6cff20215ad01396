/** Runs a function once, later; returns the function that prevents it. */
export type Scheduler = (run: () => void) => () => void;

/** Frames stop in a hidden tab; its title and badges must not, so a slow timer takes over. */
const HIDDEN_INTERVAL = 1_000;
const FRAME = 16;

/** Runs with the next animation frame; in a hidden tab about once a second; without a page after 16 ms. */
export const nextFrame: Scheduler = (run) => {
  const hasFrames = typeof requestAnimationFrame === 'function';
  const frame = hasFrames ? requestAnimationFrame(runOnce) : undefined;
  const timer = setTimeout(runOnce, hasFrames ? HIDDEN_INTERVAL : FRAME);

  function runOnce() {
    cancel();
    run();
  }

  function cancel() {
    if (frame !== undefined) cancelAnimationFrame(frame);
    clearTimeout(timer);
  }

  return cancel;
};

/** Milliseconds between two pictures of a flood: nobody reads more of it than that. */
const INTERVAL = 100;

/**
 * A scheduler that runs like another, but not sooner than `interval` milliseconds after the run before.
 * What comes now and then shows at once; in a flood the frames between are left to the browser.
 */
export function paced(schedule: Scheduler, interval = INTERVAL): Scheduler {
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

/** See {@link createBatch}. */
export interface Batch {
  /** Asks for a run; any number of requests before it happens make one run. */
  request: () => void;
  /** Forgets the request. */
  cancel: () => void;
}

/** Batches requests to `run`, at most one for each turn of the scheduler. */
export function createBatch(run: () => void, schedule: Scheduler): Batch {
  let cancelScheduled: (() => void) | undefined;

  function request() {
    cancelScheduled ??= schedule(() => {
      cancelScheduled = undefined;
      run();
    });
  }

  function cancel() {
    cancelScheduled?.();
    cancelScheduled = undefined;
  }

  return { request, cancel };
}
