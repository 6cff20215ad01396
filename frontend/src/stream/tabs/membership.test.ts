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

const key = () => membership.wants()[0]?.key ?? '';

function arrive(...items: Item[]) {
  const deliveries = items.map((item) => ({ lane: '#', topic: 'channel:a', item }));
  const last = items.at(-1);
  const marks = last && { 'channel:a': last };
  membership.onItems(deliveries, {
    '#': { place: place(`at ${last?.number}`), marks: marks ?? {} },
  });
}

function join(number: number, items: Item[] = [], era = 1) {
  const position = { era, number, lane: '#', place: place(`joined at ${number}`) };
  membership.onJoined({ key: key(), position, items } satisfies Joined);
}

beforeEach(() => {
  got = [];
  onChange.mockReset();
  membership = createMembership({ onChange, onStatus: () => undefined });
  followed = membership.want(
    {
      ...{ topic: 'channel:a', every: '', last: 0, events: [], from: undefined },
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

  it('takes what the old leader sent while it joins the new one', () => {
    join(0);
    membership.rejoin();
    arrive(item(1), item(2));
    join(0);
    arrive(item(1), item(2), item(3));
    expect(got).toEqual(['1', '2', '3']);
  });

  it('takes all of a new era', () => {
    join(7);
    arrive(item(8));
    arrive(item(2, 2), item(3, 2));
    arrive(item(9));
    expect(got).toEqual(['8', '2', '3']);
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
