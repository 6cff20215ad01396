import { expect, it } from 'vitest';
import { sparkline } from './Sparkline';

it.each([
  [[1, 2], '0.0,22.0 128.0,2.0'],
  [[5, 5, 5], '0.0,12.0 64.0,12.0 128.0,12.0'],
  [[7], '0.0,12.0'],
  [[], ''],
])('the line of %j', (values, points) => {
  expect(sparkline(values)).toBe(points);
});
