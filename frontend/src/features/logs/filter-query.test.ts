import { expect, it } from 'vitest';
import { readNarrowing, writeNarrowing } from './filter-query';

it.each(['', 'filter=a%26b', 'filter=%5Ea&regex=1', 'hide=debug%2Cinfo', 'regex=1&hide=other'])(
  'an address with %j is read and written',
  (text) => {
    const address = new URLSearchParams(`stream=logs&${text}`);
    const written = writeNarrowing(address, readNarrowing(address));
    expect(written.toString()).toBe(`stream=logs${text && '&'}${text}`);
  },
);

it('levels that there are not hide nothing', () => {
  const { hidden } = readNarrowing(new URLSearchParams('hide=info,loud'));
  expect([...hidden]).toEqual(['info']);
});
