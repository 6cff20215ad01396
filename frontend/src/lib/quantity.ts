import { count } from './text';

/** The unit of a figure. */
export type Unit =
  'number' | 'percent' | 'bytes' | 'bytes/s' | 'per second' | 'seconds' | 'milliseconds';

/** Suffixes of field names that name the unit, the longer ones first. */
const suffixes: readonly (readonly [RegExp, Unit])[] = [
  [/_bytes_per_second$/, 'bytes/s'],
  [/_per_second$/, 'per second'],
  [/_bytes$/, 'bytes'],
  [/_(percent|pct)$/, 'percent'],
  [/_(milliseconds|millis|ms)$/, 'milliseconds'],
  [/_(seconds|secs)$/, 'seconds'],
];

/** The unit that a field's name ends in, such as `used_bytes`; `number` where it ends in none. */
export function unitOf(field: string): Unit {
  return suffixes.find(([suffix]) => suffix.test(field))?.[1] ?? 'number';
}

/** A field's name for people, without its unit: `page_views` → `Page views`. */
export function labelOf(field: string): string {
  const suffix = suffixes.find(([ending]) => ending.test(field))?.[0];
  const words = (suffix ? field.replace(suffix, '') : field)
    .replace(/([a-z\d])([A-Z])/g, '$1 $2')
    .replace(/[_\s.-]+/g, ' ')
    .trim();
  return words.charAt(0).toUpperCase() + words.slice(1);
}

const rounded = (value: number, digits: number) => Number(value.toPrecision(digits));

const whole = (value: number) => count(Math.round(value));

/** Three digits: enough to see a change. */
function small(value: number): string {
  const digits = rounded(value, 3);
  return Math.abs(digits) < 1_000 ? String(digits) : whole(digits);
}

const scales = ['', 'K', 'M', 'B', 'T'];

/** Four digits of a number from a thousand on: `1.235M` */
function compact(value: number): string {
  const digits = rounded(value, 4);
  const step = Math.min(Math.floor(Math.log10(Math.abs(digits)) / 3), scales.length - 1);
  return `${rounded(digits / 1_000 ** step, 4)}${scales[step] ?? ''}`;
}

/** A figure with its unit, in few characters: `2.81%`, `1.5 GiB`, `1,234`, `3 min`. */
export function quantity(value: number, unit: Unit): string {
  switch (unit) {
    case 'number':
      return plain(value);
    case 'percent':
      return `${small(value)}%`;
    case 'per second':
      return `${plain(value)}/s`;
    case 'bytes':
      return bytes(value);
    case 'bytes/s':
      return `${bytes(value)}/s`;
    case 'seconds':
      return duration(value);
    case 'milliseconds':
      return Math.abs(value) < 1_000 ? `${small(value)} ms` : duration(value / 1_000);
  }
}

/** Three digits; from a thousand on, all of them up to a hundred thousand. */
function plain(value: number): string {
  const size = Math.abs(value);
  if (size < 1_000) return small(value);
  return size < 100_000 ? whole(value) : compact(value);
}

const byteUnits = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

function bytes(value: number): string {
  const size = Math.abs(value);
  const step = size < 1 ? 0 : Math.min(Math.floor(Math.log2(size) / 10), byteUnits.length - 1);
  const scaled = value / 1_024 ** step;
  return `${Math.abs(scaled) >= 1_000 ? whole(scaled) : small(scaled)} ${byteUnits[step] ?? ''}`;
}

/** The largest two units of a time in seconds: `3 d 4 h`, `5 min 20 s`. */
function duration(seconds: number): string {
  if (Math.abs(seconds) < 60) return `${small(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return two(minutes, 'min', Math.floor(seconds % 60), 's');
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return two(hours, 'h', minutes % 60, 'min');
  return two(Math.floor(hours / 24), 'd', hours % 24, 'h');
}

function two(large: number, largeUnit: string, rest: number, restUnit: string): string {
  const first = `${whole(large)} ${largeUnit}`;
  return rest === 0 ? first : `${first} ${rest} ${restUnit}`;
}
