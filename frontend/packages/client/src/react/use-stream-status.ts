import { useSyncExternalStore } from 'react';
import type { StreamStatus } from '../connection/status.js';
import { useStreamClient } from './use-client.js';

/** How the page's connection is. */
export function useStreamStatus(): StreamStatus {
  const { status } = useStreamClient();
  return useSyncExternalStore(status.subscribe, status.getSnapshot, status.getSnapshot);
}
