import { useEffect } from 'react';
import { loadDetails } from './ConnectionPill';
import { loadDialogs } from './Dialogs';

/**
 * Loads what is opened on request as soon as the page has nothing better to do: the details of the connection
 * are wanted just when the server is away.
 */
export function Preload() {
  useEffect(
    () =>
      whenIdle(() => {
        // What is not there now is asked for again when it is opened.
        void Promise.allSettled([loadDetails(), ...loadDialogs()]);
      }),
    [],
  );
  return null;
}

/** Safari has no idle callbacks. */
const SOON = 1_000;

function whenIdle(run: () => void): () => void {
  if (!('requestIdleCallback' in window)) {
    const timer = setTimeout(run, SOON);
    return () => clearTimeout(timer);
  }
  const request = requestIdleCallback(run);
  return () => cancelIdleCallback(request);
}
