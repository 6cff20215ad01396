import { useMemo, useSyncExternalStore } from 'react';
import { collectSeries, type Select, type Series, type SeriesOptions } from '../views/series.js';
import type { SubscribeOptions } from '../subscription.js';
import { useStreamClient } from './use-client.js';
import { createView } from '../views/view.js';

/** See {@link useSeries}. */
export interface UseSeriesOptions<T> extends Omit<SubscribeOptions, 'from'>, SeriesOptions<T> {}

/**
 * A topic's numbers over time, in columns for a chart. Renders with the next frame, and ten times a second while events arrive fast.
 *
 * `select`, `at` and `schema` must be the same with each render (functions outside of the component, or
 * `useCallback`): a new one begins a new series.
 */
export function useSeries<T = unknown>(
  topic: string,
  select: Select<T>,
  { schema, at, window, points, last, every, events }: UseSeriesOptions<T> = {},
): Series {
  const client = useStreamClient();
  const types = JSON.stringify(events ?? []);
  const view = useMemo(() => {
    const collector = collectSeries(select, { window, points, at, schema });
    const subscription = { last, every, events: JSON.parse(types) as string[] };
    return createView(client, [topic], subscription, collector);
  }, [client, topic, last, every, types, select, window, points, at, schema]);
  return useSyncExternalStore(view.subscribe, view.getSnapshot, view.getSnapshot);
}
