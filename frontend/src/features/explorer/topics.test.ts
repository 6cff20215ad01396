import { expect, it } from 'vitest';
import { problemOf, readExploration, writeExploration } from './topics';

const search =
  'channel=a.*&stream=orders&key=price%3A*&last=5&every=1s&event=order.created&event=x';

it('topics and options survive a round trip through the address', () => {
  const exploration = readExploration(new URLSearchParams(search));
  expect(exploration).toEqual({
    topics: ['channel:a.*', 'stream:orders', 'key:price:*'],
    ...{ last: 5, every: '1s', events: ['order.created', 'x'] },
  });
  expect(readExploration(writeExploration(exploration))).toEqual(exploration);
});

it('defaults are not written down', () => {
  expect(writeExploration(readExploration(new URLSearchParams(''))).toString()).toBe('');
});

it.each(['-1', 'many', '1.5'])('last=%s counts as not given', (last) => {
  expect(readExploration(new URLSearchParams({ last })).last).toBe(20);
});

it('last has the bound that the gateway has', () => {
  expect(readExploration(new URLSearchParams({ last: '5000' })).last).toBe(1_000);
});

it.each([
  ['channel', '', 'Enter a name'],
  ['stream', 'a*', 'no globs'],
] as const)('the %s %j is refused', (kind, name, problem) => {
  expect(problemOf(kind, name)).toContain(problem);
});

it.each([
  ['channel', 'a*'],
  ['key', 'a?'],
  ['stream', 'a\\*'],
  ['stream', 'orders'],
] as const)('the %s %s is fine', (kind, name) => {
  expect(problemOf(kind, name)).toBeUndefined();
});
