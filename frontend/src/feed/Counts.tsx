import type { Entries } from '@sluice/client';
import { count } from '../lib/text';

type Props = Pick<Entries<unknown>, 'received' | 'missed' | 'dropped' | 'entries'>;

/** The number of events received, and how many of them are in the list. */
export function Counts({ snapshot }: { snapshot: Props }) {
  const { received, missed, dropped, entries } = snapshot;
  return (
    <p className="flex flex-wrap gap-x-4 text-sm text-muted tabular-nums">
      <span>
        <strong className="font-semibold text-ink">{count(received)}</strong> received
      </span>
      {missed > 0 && <span className="font-medium text-warning">{count(missed)} missed</span>}
      {dropped > 0 && <span>{count(entries.length)} kept</span>}
    </p>
  );
}
