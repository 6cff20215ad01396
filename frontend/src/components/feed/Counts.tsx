import type { Entries } from '@sluice/client';
import { count } from '../text';

/** How much has come, and how much of it is still in the list. */
export function Counts({ snapshot }: { snapshot: Entries<unknown> }) {
  const { received, missed, dropped, entries } = snapshot;
  return (
    <p className="flex flex-wrap gap-x-4 text-sm text-muted tabular-nums">
      <span>
        <strong className="font-semibold text-ink">{count(received)}</strong> received
      </span>
      {missed > 0 && <span className="font-medium text-warning">{count(missed)} missed</span>}
      {dropped > 0 && <span>newest {count(entries.length)} kept</span>}
    </p>
  );
}
