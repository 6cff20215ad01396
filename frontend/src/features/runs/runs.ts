import type { Entry } from '@sluice/client';

/** A run that was the newest one at some time. */
export interface NamedRun {
  readonly topic: string;
  /** When this browser received its name, in milliseconds since the epoch. */
  readonly at: number;
}

/** The runs that a key has named, the newest first, each once. Other values are left out. */
export function namedRuns(entries: readonly Entry[]): NamedRun[] {
  const runs = new Map<string, NamedRun>();
  for (const entry of entries) {
    if (entry.kind === 'gap' || entry.type !== 'message' || !entry.data.startsWith('stream:')) {
      continue;
    }
    // A run that is named again becomes the newest.
    runs.delete(entry.data);
    runs.set(entry.data, { topic: entry.data, at: entry.receivedAt });
  }
  return [...runs.values()].reverse();
}
