import { beforeEach, describe, expect, it, vi } from 'vitest';
import type { Joined } from './exchange';
import type { Item } from './history';
import { createMembership, type Followed, type Membership } from './membership';
import type { Place } from '../line/opening';

const place = (id: string): Place => ({ id, covers: ['channel:a', 'channel:b'] });

const item = (number: number, era = 1): Item => ({
  frame: { kind: 'message', id: '', type: 'message', data: String(number) },
  ...{ origin: 'channel:a', era, number, receivedAt: 0 },
});

const onChange = vi.fn();
let got: string[];
let membership: Membership;
let followed: Followed;

const gap = (number: number, era: number): Item => ({
  ...item(number, era),
  frame: { kind: 'gap', id: '', topic: 'channel:a', reason: 'unknown', lost: 3 },
});

const wanted = { topic: 'channel:a', every: '', last: 0, events: [], from: undefined };

const key = (index = 0) => membership.wants()[index]?.key ?? '';

function arrive(...items: Item[]) {
  const deliveries = items.map((item) => ({ lane: '#', topic: 'channel:a', item }));
  const last = items.at(-1);
  const marks = last && { 'channel:a': last };
  membership.onItems(deliveries, {
    '#': { place: place(`at ${last?.number}`), marks: marks ?? {} },
  });
}

const joinedAt = (number: number, era = 1) => ({
  position: { era, number, lane: '#', place: place(`joined at ${number}`) },
});

function join(number: number, items: Item[] = [], era = 1) {
  membership.onJoined({ ...joinedAt(number, era), key: key(), items } satisfies Joined);
}

beforeEach(() => {
  got = [];
  onChange.mockReset();
  membership = createMembership({ onChange, onStatus: () => undefined });
  followed = membership.want(
    {
      ...wanted,
      onItem: ({ frame }) => got.push(frame.kind === 'message' ? frame.data : 'gap'),
    },
    () => undefined,
  );
});

describe('a want', () => {
  it('hears nothing before it has joined, and then what was remembered for it', () => {
    arrive(item(1), item(2));
    expect(got).toEqual([]);
    join(2, [item(1), item(2)]);
    arrive(item(3));
    expect(got).toEqual(['1', '2', '3']);
  });

  it('skips what comes twice, from whichever tab', () => {
    join(0);
    arrive(item(1), item(2), item(3));
    arrive(item(2), item(3), item(4));
    expect(got).toEqual(['1', '2', '3', '4']);
  });

  it('asks again where there is a hole, from where it is, and not more than once', () => {
    join(0);
    arrive(item(1));
    const before = key();
    arrive(item(3), item(4));
    expect(got).toEqual(['1']);
    expect(key()).not.toBe(before);
    expect(onChange).toHaveBeenCalledTimes(2); // with the first want
    expect(membership.wants()[0]?.from).toMatchObject({ number: 1, place: { id: 'at 1' } });
    join(4, [item(2), item(3), item(4)]);
    arrive(item(5));
    expect(got).toEqual(['1', '2', '3', '4', '5']);
  });

  it('stays ahead of a leader that is behind it', () => {
    join(0);
    arrive(item(1), item(2), item(3));
    membership.rejoin();
    join(1);
    arrive(item(2), item(3), item(4));
    expect(got).toEqual(['1', '2', '3', '4']);
  });

  it('takes nothing while it joins a new leader, whose answer has all', () => {
    join(0);
    membership.rejoin();
    arrive(item(2, 2));
    expect(got).toEqual([]);
    join(2, [item(1), gap(2, 2)], 2);
    arrive(item(3, 2));
    expect(got).toEqual(['1', 'gap', '3']);
  });

  it('goes on with a new era after a gap, and asks again where it is no sequel', () => {
    join(7);
    arrive(item(8));
    arrive(gap(9, 2), item(10, 2));
    arrive(item(12));
    expect(got).toEqual(['8', 'gap', '10']);
    const before = key();
    arrive(item(3, 4));
    expect(got).toEqual(['8', 'gap', '10']);
    expect(key()).not.toBe(before);
  });

  it('counts what gaps have lost, once for all subscriptions, and not those of before', () => {
    const others: Item[] = [];
    membership.want({ ...wanted, onItem: (item) => others.push(item) }, () => undefined);
    join(0);
    membership.onJoined({ ...joinedAt(2, 2), key: key(1), items: [item(1), gap(2, 2)] });
    expect(membership.status()).toMatchObject({ gaps: 1, missed: 3 });
    arrive(item(1), gap(2, 2));
    expect(got).toEqual(['1', 'gap']);
    expect(membership.status()).toMatchObject({ gaps: 1, missed: 3 });
    arrive(gap(3, 3));
    expect(others).toHaveLength(3);
    expect(membership.status()).toMatchObject({ gaps: 2, missed: 6 });
  });

  it('that fails does not keep anything from the others', () => {
    const later = vi.spyOn(globalThis, 'queueMicrotask').mockReturnValue();
    const others: Item[] = [];
    followed.end();
    membership.want(
      {
        ...wanted,
        onItem: () => {
          throw new Error('broken');
        },
      },
      () => undefined,
    );
    membership.want({ ...wanted, onItem: (item) => others.push(item) }, () => undefined);
    membership.onJoined({ ...joinedAt(0), key: key(0), items: [] });
    membership.onJoined({ ...joinedAt(0), key: key(1), items: [] });
    arrive(item(1), item(2));
    expect(others).toHaveLength(2);
    expect(later.mock.calls[0]?.[0]).toThrow('broken');
    later.mockRestore();
  });

  it('moves on when others of its connection do', () => {
    join(0);
    const marks = { 'channel:a': { era: 1, number: 0 } };
    membership.onItems([], { '#': { place: place('later'), marks } });
    membership.onItems([], { other: { place: place('elsewhere'), marks } });
    expect(followed.position()).toMatchObject({ number: 0, place: { id: 'later' } });
    membership.onItems([], { '#': { place: { id: 'without', covers: ['channel:b'] }, marks } });
    expect(followed.position()).toMatchObject({ place: { id: 'later' } });
  });

  it('does not go back with a leader that is behind', () => {
    join(0);
    arrive(item(1), item(2), item(3));
    arrive(item(2));
    expect(followed.position()).toMatchObject({ number: 3, place: { id: 'at 3' } });
    membership.rejoin();
    join(1);
    expect(followed.position()).toMatchObject({ number: 3, place: { id: 'at 3' } });
  });

  it('is gone when it ends', () => {
    followed.end();
    expect(membership.wants()).toEqual([]);
  });
});
