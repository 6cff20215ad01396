import { useSyncExternalStore } from 'react';
import type { Stream, StreamSnapshot } from './stream';

/**
 * Follows a stream for as long as the component is mounted.
 *
 * Components that use the same stream share its connection; create it outside of components, or with
 * `useMemo`, so that it is the same one with each render.
 */
export function useStream(stream: Stream): StreamSnapshot {
  return useSyncExternalStore(stream.subscribe, stream.getSnapshot);
}
