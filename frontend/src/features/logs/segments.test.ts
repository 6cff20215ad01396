import { expect, it } from 'vitest';
import type { LogLine } from './line';
import { segmentsOf } from './segments';

const line = { text: 'db gone id=7', messageStart: 3, fieldsStart: 8 } as LogLine;

const shown = (...matches: [number, number][]) =>
  segmentsOf(
    line,
    matches.map(([start, end]) => ({ start, end })),
  ).map(({ text, part, isMatch }) => `${part.charAt(0)}:${isMatch ? `<${text}>` : text}`);

it('cuts a text into its parts', () => {
  expect(shown()).toEqual(['s:db ', 'm:gone ', 'f:id=7']);
});

it('marks matches, also across parts', () => {
  expect(shown([1, 5], [9, 10])).toEqual([
    's:d',
    's:<b >',
    'm:<go>',
    'm:ne ',
    'f:i',
    'f:<d>',
    'f:=7',
  ]);
  expect(shown([0, 12])).toEqual(['s:<db >', 'm:<gone >', 'f:<id=7>']);
  expect(shown([0, 1], [1, 2])).toEqual(['s:<d>', 's:<b>', 's: ', 'm:gone ', 'f:id=7']);
});

it('copes with parts that are empty', () => {
  expect(segmentsOf({ ...line, messageStart: 0, fieldsStart: 12 }, [])).toEqual([
    { text: 'db gone id=7', part: 'message', isMatch: false },
  ]);
});
