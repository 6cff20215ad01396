/**
 * Live events of a Sluice gateway in the browser: one connection for all parts of a page and all tabs, which
 * goes on where it was after any interruption, and says so where it cannot. It needs no library; `react/` has
 * hooks.
 *
 * An event's way through the folders is the order to read them in, each of which knows only those before:
 * - `line/`: what the gateway says (`protocol`), a connection that comes back (`connection`), and one that
 *   carries a changing set of topics (`line`);
 * - `tabs/`: the connections that all tabs share (`exchange`), which tab has them (`group`, `leader`), and how
 *   far this tab has come with each topic (`membership`);
 * - `client` and `subscription`: what a page sees of that;
 * - `views/`: subscriptions as stores, of what a component shows.
 */
export { createStreamClient, type StreamClient, type StreamClientOptions } from './client';
export type { Refusal } from './line/diagnose';
export {
  collectEntries,
  type Entries,
  type EntriesOptions,
  type ParsedEntry,
} from './views/entries';
export type { Entry, GapEntry, MessageEntry } from './entry';
export { collectLatest, type Latest } from './views/latest';
export { type Memory, sessionMemory } from './views/memory';
export type { CloseReason, GapReason } from './line/protocol';
export type { StandardSchemaV1 } from './views/schema';
export { collectSeries, type Select, type Series, type SeriesOptions } from './views/series';
export type { Cause, Status, StreamStatus } from './line/status';
export type { Store } from './store';
export type {
  Observer,
  Progress,
  SubscribeOptions,
  Subscription,
  SubscriptionState,
} from './subscription';
export { type Collector, createView, type ViewOptions } from './views/view';
