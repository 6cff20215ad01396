/** Hooks for React on top of the client. */
export { StreamProvider, useStreamClient } from './use-client.js';
export { useLatest, type UseLatestOptions } from './use-latest.js';
export { type Run, useRun, type UseRunOptions } from './use-run.js';
export { useSeries, type UseSeriesOptions } from './use-series.js';
export { useStream, type UseStreamOptions } from './use-stream.js';
export { useStreamStatus } from './use-stream-status.js';
