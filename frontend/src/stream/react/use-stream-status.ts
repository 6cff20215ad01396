import { useSyncExternalStore } from 'react';
import type { StreamStatus } from '../line/status';
import { useStreamClient } from './use-client';

/** How the page's connection is. */
export function useStreamStatus(): StreamStatus {
  const { status } = useStreamClient();
  return useSyncExternalStore(status.subscribe, status.getSnapshot);
}
