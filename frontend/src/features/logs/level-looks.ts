import type { Level } from './levels';

/** How the name of a level is coloured; the name itself says the same. */
export const levelLooks: Readonly<Record<Level, string>> = {
  trace: 'text-muted',
  debug: 'text-muted',
  info: 'text-accent',
  warn: 'text-warning',
  error: 'text-danger',
  fatal: 'text-danger font-bold',
  other: 'text-muted',
};
