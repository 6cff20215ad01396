const waiting = new Set<() => void>();

/**
 * Runs one function in each animation frame, in the order of the calls: several charts together would block the page
 * for long. Returns a function that cancels the call.
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
