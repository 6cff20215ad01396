import { describe, expect, it } from 'vitest';
import { compileQuery } from './matcher';

async function marked(text: string, isRegex: boolean, candidate: string): Promise<string> {
  const matcher = await compileQuery({ text, isRegex });
  if (!matcher) throw new Error('an empty query');
  const ranges = matcher.ranges(candidate);
  expect(matcher.test(candidate)).toBe(ranges.length > 0);
  return ranges
    .toReversed()
    .reduce(
      (rest, { start, end }) =>
        `${rest.slice(0, start)}<${rest.slice(start, end)}>${rest.slice(end)}`,
      candidate,
    );
}

describe('a text', () => {
  it.each([
    ['time', 'Time is TIME', '<Time> is <TIME>'],
    ['a.b', 'a.b axb', '<a.b> axb'],
    ['(', 'f(x)', 'f<(>x)'],
    ['\\', 'c:\\x', 'c:<\\>x'],
    ['größe', 'GRÖSSE größe', 'GRÖSSE <größe>'],
    ['nothing', 'something', 'something'],
  ])('%j in %j', async (text, candidate, expected) => {
    expect(await marked(text, false, candidate)).toBe(expected);
  });
});

describe('a regular expression', () => {
  it.each([
    ['t(im|ap)e?', 'Time tape', '<Time> <tape>'],
    ['\\d+ ms$', 'in 12 ms, 13 ms', 'in 12 ms, <13 ms>'],
    ['(?-i)T', 'Tt', '<T>t'],
    ['^x', 'ax', 'ax'],
    ['😀b', 'a😀b', 'a<😀b>'],
  ])('%j in %j', async (text, candidate, expected) => {
    expect(await marked(text, true, candidate)).toBe(expected);
  });

  it('marks no empty matches', async () => {
    const matcher = await compileQuery({ text: 'b*', isRegex: true });
    expect(matcher?.ranges('abba')).toEqual([{ start: 1, end: 3 }]);
  });

  it.each([
    ['(a', 'missing closing ): `(a`'],
    ['[z', 'missing closing ]: `[z`'],
    ['*', 'missing argument to repetition operator: `*`'],
    ['(?=x)', 'invalid or unsupported Perl syntax: `(?=`'],
    ['\\1', 'invalid escape sequence: `\\1`'],
  ])('%j is refused: %s', async (text, reason) => {
    await expect(compileQuery({ text, isRegex: true })).rejects.toThrow(new Error(reason));
  });

  it('needs linear time for patterns that block a backtracking engine', async () => {
    const matcher = await compileQuery({ text: '(a|a)*(b|c)*(a+)+$', isRegex: true });
    expect(matcher?.test(`${'a'.repeat(4_000)}!`)).toBe(false);
  });
});

it('an empty query matches everything, so there is no matcher', async () => {
  expect(await compileQuery({ text: '', isRegex: true })).toBeUndefined();
});
