import { useMemo, useSyncExternalStore } from 'react';
import { createView } from '@sluice/client';
import { useStreamClient } from '@sluice/client/react';
import { MAX_LAST } from '../../lib/query-last';
import { type Buckets, collectBuckets } from './buckets';

/** The figures of a topic, in buckets of one second; `kept` is how many seconds to keep. */
export function useBuckets(topic: string, kept: number): Buckets {
  const client = useStreamClient();
  const view = useMemo(
    () => createView(client, [topic], { last: MAX_LAST }, collectBuckets(kept)),
    [client, topic, kept],
  );
  return useSyncExternalStore(view.subscribe, view.getSnapshot);
}
