/**
 * Live events of a Sluice gateway in the browser: one connection for all parts of a page and all tabs, which
 * goes on where it was after any interruption, and says so where it cannot. The hooks need React 19, the rest
 * needs nothing.
 */
export { createStreamClient, type StreamClient, type StreamClientOptions } from './client';
export type { Refusal } from './diagnose';
export { collectEntries, type Entries, type EntriesOptions, type ParsedEntry } from './entries';
export type { Entry, GapEntry, MessageEntry } from './entry';
export { collectLatest, type Latest } from './latest';
export { type Memory, sessionMemory } from './memory';
export type { CloseReason, GapReason } from './protocol';
export type { StandardSchemaV1 } from './schema';
export { collectSeries, type Select, type Series, type SeriesOptions } from './series';
export type { Cause, Status, StreamStatus } from './status';
export type { Store } from './store';
export type {
  Observer,
  Progress,
  SubscribeOptions,
  Subscription,
  SubscriptionState,
} from './subscription';
export { StreamProvider, useStreamClient } from './use-client';
export { useLatest, type UseLatestOptions } from './use-latest';
export { useSeries, type UseSeriesOptions } from './use-series';
export { useStream, type UseStreamOptions } from './use-stream';
export { useStreamStatus } from './use-stream-status';
export { type Collector, createView, type ViewOptions } from './view';
