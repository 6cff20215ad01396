const waiting = new Set<() => void>();

/**
 * Runs the function in an animation frame of its own, in the order of the calls: several charts together would block
 * the page for long. Returns the function that prevents it.
 */
export function inTurn(run: () => void): () => void {
  if (waiting.size === 0) requestAnimationFrame(runNext);
  waiting.add(run);
  return () => waiting.delete(run);
}

function runNext() {
  const [run] = waiting;
  if (!run) return;
  waiting.delete(run);
  if (waiting.size > 0) requestAnimationFrame(runNext);
  run();
}
