import { beforeEach, describe, expect, it, vi } from 'vitest';
import type { Entry, MessageEntry } from '@sluice/client';
import type { Level } from './levels';
import { createTail, rowOf, type Tail } from './tail';

let frames: (() => void)[] = [];

/** Collects what asks for a frame; {@link frame} runs it. */
const schedule = (run: () => void) => {
  frames.push(run);
  return () => {
    frames = frames.filter((other) => other !== run);
  };
};

function frame() {
  const due = frames;
  frames = [];
  for (const run of due) run();
}

function settle() {
  while (frames.length > 0) frame();
}

const message = (data: string): MessageEntry => ({
  ...{
    kind: 'message',
    seq: 0,
    topic: 'stream:logs',
    id: '',
    type: 'message',
    data,
    receivedAt: 0,
  },
});

const lines = (from: number, to: number): Entry[] =>
  Array.from({ length: to - from + 1 }, (_, n) =>
    message(
      JSON.stringify({ level: (from + n) % 2 ? 'info' : 'error', message: `line ${from + n}` }),
    ),
  );

const gap: Entry = {
  ...{
    kind: 'gap',
    id: '',
    seq: 0,
    topic: 'stream:logs',
    reason: 'history-expired',
    lost: 3,
    receivedAt: 0,
  },
};

function add(tail: Tail, entries: readonly Entry[]) {
  for (const entry of entries) tail.add(entry);
}

const shown = (tail: Tail) => {
  const { rows } = tail.getSnapshot();
  return Array.from({ length: rows.length }, (_, n) => {
    const row = rows.at(n);
    return row.kind === 'gap' ? 'gap' : row.text;
  });
};

const hide = (...levels: Level[]) => ({ hidden: new Set(levels), matcher: undefined });

const matching = (test: (candidate: string) => boolean) => ({
  hidden: new Set<Level>(),
  matcher: { test, ranges: () => [] },
});

beforeEach(() => {
  frames = [];
});

describe('a tail', () => {
  it('notifies once per frame, however many lines arrive', () => {
    const tail = createTail({ schedule });
    let changes = 0;
    tail.subscribe(() => (changes += 1));
    settle();
    changes = 0;
    for (let n = 0; n < 100; n++) add(tail, lines(1, 50));
    expect(changes).toBe(0);
    frame();
    expect(changes).toBe(1);
    expect(tail.getSnapshot().rows.length).toBe(5_000);
  });

  it('keeps the newest rows, and counts the levels of those', () => {
    const tail = createTail({ schedule, limit: 4 });
    add(tail, lines(1, 7));
    settle();
    expect(shown(tail)).toEqual(['line 4', 'line 5', 'line 6', 'line 7']);
    const { levels, kept, dropped } = tail.getSnapshot();
    expect({ info: levels.info, error: levels.error, kept, dropped }).toEqual({
      info: 2,
      error: 2,
      kept: 4,
      dropped: 3,
    });
  });

  it('bounds the characters that it keeps', () => {
    const tail = createTail({ schedule, maxCharacters: 100 });
    add(tail, [message('a'.repeat(60)), message('b'.repeat(60)), message('c'.repeat(500))]);
    settle();
    expect(tail.getSnapshot().kept).toBe(1);
    expect(shown(tail)[0]).toContain('c');
  });

  it('shows gaps in their place, whatever the filter', () => {
    const tail = createTail({ schedule });
    add(tail, [...lines(1, 2), gap, ...lines(3, 4)]);
    tail.setFilter(matching((text) => text === 'line 3'));
    settle();
    expect(shown(tail)).toEqual(['gap', 'line 3']);
  });
});

describe('a filter', () => {
  it('applies to present lines and to later ones', () => {
    const tail = createTail({ schedule });
    add(tail, lines(1, 4));
    tail.setFilter(hide('info'));
    settle();
    expect(shown(tail)).toEqual(['line 2', 'line 4']);
    add(tail, lines(5, 8));
    settle();
    expect(shown(tail)).toEqual(['line 2', 'line 4', 'line 6', 'line 8']);
    tail.setFilter(hide());
    settle();
    expect(shown(tail)).toHaveLength(8);
  });

  it('filters many rows in slices, and includes rows added or dropped in between', () => {
    const tail = createTail({ schedule, limit: 1_000, slice: 10 });
    add(tail, lines(1, 1_000));
    settle();
    // Each look at the clock finds the frame used up.
    let clock = 0;
    const now = vi.spyOn(performance, 'now').mockImplementation(() => (clock += 10));
    tail.setFilter(matching((candidate) => candidate.endsWith('0')));
    frame();
    frame();
    const { progress, rows } = tail.getSnapshot();
    expect(progress).toBeGreaterThan(0);
    expect(progress).toBeLessThan(1);
    expect(rows.length, 'the rows of before stay until it is done').toBe(1_000);
    add(tail, lines(1_001, 1_500));
    settle();
    now.mockRestore();
    expect(tail.getSnapshot().progress).toBeUndefined();
    const expected = lines(501, 1_500).length / 10;
    expect(shown(tail)).toHaveLength(expected);
    expect(shown(tail)[0]).toBe('line 510');
    expect(shown(tail).at(-1)).toBe('line 1500');
  });
});

describe('holding', () => {
  it('holds the rows, and counts new lines', () => {
    const tail = createTail({ schedule, limit: 5 });
    add(tail, lines(1, 4));
    settle();
    tail.hold('pause');
    expect(tail.getSnapshot().heldBy).toBe('pause');
    add(tail, [...lines(5, 12), gap]);
    settle();
    expect(shown(tail)).toEqual(['line 1', 'line 2', 'line 3', 'line 4']);
    expect(tail.getSnapshot()).toMatchObject({ waiting: 9, kept: 5 });
    tail.release();
    expect(shown(tail)).toEqual(['line 9', 'line 10', 'line 11', 'line 12', 'gap']);
    expect(tail.getSnapshot().waiting).toBeUndefined();
  });

  it('can be filtered', () => {
    const tail = createTail({ schedule });
    add(tail, lines(1, 4));
    settle();
    tail.hold('pause');
    add(tail, lines(5, 10));
    tail.setFilter(hide('error'));
    settle();
    expect(shown(tail)).toEqual(['line 1', 'line 3']);
    expect(tail.getSnapshot().waiting).toBe(3);
    add(tail, lines(11, 12));
    settle();
    expect(tail.getSnapshot().waiting).toBe(4);
  });
});

it('a row is found by its number, whatever has gone before it', () => {
  const tail = createTail({ schedule, limit: 3 });
  add(tail, lines(1, 5));
  settle();
  const { rows } = tail.getSnapshot();
  expect(rowOf(rows, 4)).toMatchObject({ text: 'line 4' });
  expect(rowOf(rows, 2)).toBeUndefined();
  expect(rowOf(rows, 6)).toBeUndefined();
});
