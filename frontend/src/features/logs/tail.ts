import { createBatch, type Entry, nextFrame, type Scheduler } from '@sluice/client';
import { type Level, levels } from './levels';
import { type LogRow, readLine } from './line';
import type { Matcher } from './matcher';
import { createQueue, type Queue } from './queue';

/** Which lines of a tail are shown. Gaps always are: they may hide what one looks for. */
export interface Filter {
  readonly hidden: ReadonlySet<Level>;
  readonly matcher: Matcher | undefined;
}

/** The reason for a hold. Scrolling ends only a hold that scrolling has started. */
export type Holder = 'scrolling' | 'pause';

/** Rows in order, oldest first. */
export interface Rows {
  readonly length: number;
  at: (index: number) => LogRow;
}

/**
 * The state of a tail for a view, which must read the rows at once. A new one replaces it at most once per frame, and
 * whenever a hold begins or ends.
 */
export interface TailSnapshot {
  /** The rows that pass the filter. */
  readonly rows: Rows;
  /** The number of kept lines of each level, without regard to the filter. */
  readonly levels: Readonly<Record<Level, number>>;
  /** The number of kept rows, without regard to the filter. */
  readonly kept: number;
  /** The number of rows dropped because of the limits. */
  readonly dropped: number;
  /** Rows that pass the filter and came since the tail is held; `undefined` while it is not. */
  readonly waiting: number | undefined;
  readonly heldBy: Holder | undefined;
  /** The part of the rows that a new filter has gone through, in [0, 1); `undefined` when it is done. */
  readonly progress: number | undefined;
}

export type Tail = ReturnType<typeof createTail>;

interface TailOptions {
  readonly limit?: number;
  /** The largest number of characters of data, as a few huge lines would otherwise fill the memory. */
  readonly maxCharacters?: number;
  /** When to filter; as a rule with each frame. */
  readonly schedule?: Scheduler;
  /** When to notify subscribers of new rows. Default: together with the filter. */
  readonly publishing?: Scheduler;
  /** How many rows a new filter goes through between two looks at the clock. */
  readonly slice?: number;
}

/** How long a frame may filter, in milliseconds; the rest of its 16 is for the browser. */
const BUDGET = 8;

/** The rows that were shown when the hold began. */
interface Held {
  rows: readonly LogRow[];
  readonly until: number;
  readonly by: Holder;
  waiting: number;
}

/**
 * A bounded tail of log lines with a filter.
 *
 * A line is filtered once, when it arrives. A new filter goes through all rows in slices of a few
 * milliseconds, one for each frame, so the page stays responsive with 100,000 of them.
 */
export function createTail({
  limit = 100_000,
  maxCharacters = 64 * 1024 * 1024,
  schedule = nextFrame,
  publishing = schedule,
  slice = 500,
}: TailOptions = {}) {
  const all = createQueue<LogRow>();
  const counts = Object.fromEntries(levels.map((level) => [level, 0])) as Record<Level, number>;
  const subscribers = new Set<() => void>();
  const scanning = createBatch(goOn, schedule);
  const changes = createBatch(publish, publishing);

  let filter: Filter = { hidden: new Set(), matcher: undefined };
  let passing = createQueue<LogRow>();
  let scan: { readonly passing: Queue<LogRow>; next: number } | undefined;
  let held: Held | undefined;
  let seq = 0;
  let characters = 0;
  let snapshot = takeSnapshot();

  /** Adds an entry. Entries must be added in order. */
  function add(entry: Entry) {
    seq += 1;
    const row: LogRow = entry.kind === 'gap' ? { kind: 'gap', seq, entry } : readLine(entry, seq);
    all.push(row);
    characters += sizeOf(row);
    if (row.kind === 'line') counts[row.level] += 1;
    // A running scan also reaches the new rows.
    if (!scan && passes(row, filter)) {
      passing.push(row);
      if (held) held.waiting += 1;
    }
    while (all.length > limit || (characters > maxCharacters && all.length > 1)) drop();
    changes.request();
  }

  function drop() {
    const row = all.shift();
    if (!row) return;
    characters -= sizeOf(row);
    if (row.kind === 'line') counts[row.level] -= 1;
    dropUntil(passing, row.seq);
    if (scan) dropUntil(scan.passing, row.seq);
  }

  /** Filters all rows again. The shown rows stay until the new result is complete. */
  function setFilter(next: Filter) {
    filter = next;
    scan = { passing: createQueue(), next: oldest() };
    scanning.request();
  }

  function goOn() {
    if (!scan) return;
    const deadline = performance.now() + BUDGET;
    scan.next = Math.max(scan.next, oldest());
    while (scan.next <= seq) {
      const end = Math.min(scan.next + slice, seq + 1);
      for (; scan.next < end; scan.next++) {
        const row = all.at(scan.next - oldest());
        if (passes(row, filter)) scan.passing.push(row);
      }
      if (performance.now() >= deadline) break;
    }
    if (scan.next > seq) finish(scan.passing);
    else scanning.request();
    changes.request();
  }

  function finish(filtered: Queue<LogRow>) {
    passing = filtered;
    scan = undefined;
    if (!held) return;
    const { until } = held;
    const rows = passing.toArray();
    held.rows = rows.filter((row) => row.seq <= until);
    held.waiting = rows.length - held.rows.length;
  }

  /**
   * Freezes the shown rows. The tail continues to receive. Like `release`, it is shown at once: until then, a list
   * takes the reader's scrolling for that of the state before.
   */
  function hold(by: Holder) {
    if (held) return;
    held = { rows: passing.toArray(), until: seq, by, waiting: 0 };
    publish();
  }

  function release() {
    held = undefined;
    publish();
  }

  function publish() {
    snapshot = takeSnapshot();
    for (const onChange of [...subscribers]) onChange();
  }

  /** The number of the oldest row kept, or of the next one to come. */
  function oldest(): number {
    return seq - all.length + 1;
  }

  function takeSnapshot(): TailSnapshot {
    return {
      rows: held ? (held.rows as Rows) : passing,
      levels: { ...counts },
      kept: all.length,
      dropped: oldest() - 1,
      waiting: held?.waiting,
      heldBy: held?.by,
      progress: scan && all.length > 0 ? (scan.next - oldest()) / all.length : undefined,
    };
  }

  function subscribe(onChange: () => void) {
    subscribers.add(onChange);
    changes.request();
    if (scan) scanning.request();
    return () => {
      subscribers.delete(onChange);
      if (subscribers.size > 0) return;
      changes.cancel();
      scanning.cancel();
    };
  }

  return { subscribe, getSnapshot: () => snapshot, add, setFilter, hold, release };
}

function passes(row: LogRow, { hidden, matcher }: Filter): boolean {
  if (row.kind === 'gap') return true;
  return !hidden.has(row.level) && (!matcher || matcher.test(row.text));
}

function dropUntil(rows: Queue<LogRow>, seq: number) {
  while (rows.length > 0 && rows.at(0).seq <= seq) rows.shift();
}

function sizeOf(row: LogRow): number {
  return row.kind === 'line' ? row.entry.data.length : 0;
}

/** The row with a number; `undefined` where it is not among the rows. */
export function rowOf(rows: Rows, seq: number): LogRow | undefined {
  const index = indexOf(rows, seq);
  const row = index < rows.length ? rows.at(index) : undefined;
  return row?.seq === seq ? row : undefined;
}

/** The index of the row with a number, or of the next later one. */
export function indexOf(rows: Rows, seq: number): number {
  let low = 0;
  let high = rows.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (rows.at(middle).seq < seq) low = middle + 1;
    else high = middle;
  }
  return low;
}
