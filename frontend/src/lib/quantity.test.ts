import { expect, it } from 'vitest';
import { labelOf, quantity, type Unit, unitOf } from './quantity';

it.each<[number, Unit, string]>([
  [0, 'number', '0'],
  [-3.14159, 'number', '-3.14'],
  [999.9, 'number', '1,000'],
  [1_234.5, 'number', '1,235'],
  [99_999, 'number', '99,999'],
  [1_234_567, 'number', '1.235M'],
  [2.814, 'percent', '2.81%'],
  [0, 'bytes', '0 B'],
  [0.4, 'bytes/s', '0.4 B/s'],
  [1_023, 'bytes', '1,023 B'],
  [1_024, 'bytes', '1 KiB'],
  [1_536 * 1_024 ** 2, 'bytes', '1.5 GiB'],
  [8e18, 'bytes', '7,105 PiB'],
  [12.34, 'per second', '12.3/s'],
  [59.4, 'seconds', '59.4 s'],
  [60, 'seconds', '1 min'],
  [3_725, 'seconds', '1 h 2 min'],
  [90_000, 'seconds', '1 d 1 h'],
  [250, 'milliseconds', '250 ms'],
  [90_000, 'milliseconds', '1 min 30 s'],
])('%d %s is %s', (value, unit, text) => {
  expect(quantity(value, unit)).toBe(text);
});

it('writes numbers as the browser does', () => {
  const three = new Intl.NumberFormat('en', { maximumSignificantDigits: 3 });
  const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
  const compact = new Intl.NumberFormat('en', { notation: 'compact', maximumSignificantDigits: 4 });
  for (let n = 0; n < 10_000; n++) {
    // Irrational, so none is halfway between two texts; from -1e-5 to 1e14.
    const value = (n % 2 ? -1 : 1) * 10 ** (-5 + (19 * n) / 10_000 + Math.SQRT2 / 1e4);
    const size = Math.abs(value);
    const format = size < 1_000 ? three : size < 100_000 ? whole : compact;
    expect(quantity(value, 'number')).toBe(format.format(value));
  }
});

it.each<[string, Unit, string]>([
  ['page_views', 'number', 'Page views'],
  ['conversion_percent', 'percent', 'Conversion'],
  ['read_bytes_per_second', 'bytes/s', 'Read'],
  ['requests_per_second', 'per second', 'Requests'],
  ['used_bytes', 'bytes', 'Used'],
  ['latency_ms', 'milliseconds', 'Latency'],
  ['activeUsers', 'number', 'Active Users'],
  ['p99', 'number', 'P99'],
])('the field %s is in %s, and called %s', (field, unit, label) => {
  expect(unitOf(field)).toBe(unit);
  expect(labelOf(field)).toBe(label);
});
