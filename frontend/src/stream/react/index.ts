/** Hooks for React 19 on top of the client in the folder above. */
export { StreamProvider, useStreamClient } from './use-client';
export { useLatest, type UseLatestOptions } from './use-latest';
export { useSeries, type UseSeriesOptions } from './use-series';
export { useStream, type UseStreamOptions } from './use-stream';
export { useStreamStatus } from './use-stream-status';
