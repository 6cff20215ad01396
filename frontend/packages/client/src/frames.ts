/** Runs a function once, later; returns the function that prevents it. */
export type Scheduler = (run: () => void) => () => void;

/** Animation frames stop in a hidden tab, but its title and badges must change: by a slow timer. */
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

/** Milliseconds between two renders while events arrive fast: people cannot read faster. */
const INTERVAL = 100;

/**
 * A scheduler that runs like another, but not sooner than `interval` milliseconds after the previous run.
 * A single event shows at once; while events arrive fast, the browser keeps most frames for itself.
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
  /** Requests a run; all requests before it make one run. */
  request: () => void;
  /** Cancels the request. */
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
