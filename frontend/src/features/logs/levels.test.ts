import { expect, it } from 'vitest';
import { levelInText, levelOf } from './levels';

it.each([
  ['info', 'info'],
  ['WARNING', 'warn'],
  ['Err', 'error'],
  ['critical', 'fatal'],
  ['verbose', 'trace'],
  [10, 'trace'],
  [30, 'info'],
  [35, 'info'],
  [60, 'fatal'],
  [100, 'fatal'],
  [3, 'other'],
  [-10, 'other'],
  ['loud', 'other'],
  [null, 'other'],
  [{}, 'other'],
] as const)('the level %j is %s', (value, level) => {
  expect(levelOf(value)).toBe(level);
});

it.each([
  ['2026-01-01 12:00:00 ERROR db: gone', 'error'],
  ['HTTP GET took long WARN', 'warn'],
  ['[warning] disk', 'warn'],
  ['level=debug msg="cache hit"', 'debug'],
  ['Fatal: no space left', 'fatal'],
  ['no error was found', 'other'],
  [`${'x'.repeat(90)} ERROR`, 'other'],
  ['', 'other'],
] as const)('the line %j is of level %s', (text, level) => {
  expect(levelInText(text)).toBe(level);
});
