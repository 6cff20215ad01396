/**
 * Live events of a Sluice gateway in the browser, over one connection for all parts of a page and all tabs. It
 * resumes after any interruption, and reports a gap if events may be missing. It needs no library; the
 * folder `react/` has hooks.
 *
 * Each folder imports only those before it:
 * - `connection/`: the wire format (`protocol`), a connection that reconnects (`connection`), and a changing set
 *   of topics on it (`channel`);
 * - `sharing/`: the requests of all tabs on as few connections as possible (`multiplexer`), in a worker or in
 *   the page (`host`, `link`);
 * - `client`, `requests` and `subscription`: the part of it that a page uses;
 * - `views/`: subscriptions as stores for components.
 */
export { createStreamClient, type StreamClient, type StreamClientOptions } from './client.js';
export type { BackoffOptions } from './connection/backoff.js';
export type { Position } from './connection/channel.js';
export type {
  ConnectionOptions,
  EventSourceConstructor,
  EventSourceLike,
} from './connection/connection.js';
export { needsToken, type Refusal } from './connection/diagnose.js';
export type { Offset } from './connection/history.js';
export type { Cursor } from './connection/plan.js';
export type { CloseReason, GapFrame, GapReason, MessageFrame } from './connection/protocol.js';
export { type Cause, connecting, type Status, type StreamStatus } from './connection/status.js';
export { isGlob, mayOverlap, subscribedAs } from './connection/topic.js';
export type { Arrival, Entry, GapEntry, MessageEntry } from './entry.js';
export { createBatch, type Batch, nextFrame, paced, type Scheduler } from './frames.js';
export type { LinkOptions } from './sharing/link.js';
export {
  type RunChunk,
  type RunIterator,
  type RunIteratorOptions,
  RunLostError,
  type RunOptions,
  type RunState,
  type RunStatus,
} from './run.js';
export type { Store } from './store.js';
export type {
  Observer,
  Progress,
  SubscribeOptions,
  Subscription,
  SubscriptionState,
} from './subscription.js';
export {
  collectEntries,
  type Entries,
  type EntriesOptions,
  type ParsedEntry,
} from './views/entries.js';
export { collectLatest, type Latest } from './views/latest.js';
export { type Memory, sessionMemory } from './views/memory.js';
export { parse, type Parsed, type SchemaResult, type StandardSchemaV1 } from './views/schema.js';
export { collectRun, concatenate, type ReduceRun, type RunView } from './views/run.js';
export { collectSeries, type Select, type Series, type SeriesOptions } from './views/series.js';
export { type Collector, createView, type ViewOptions } from './views/view.js';
