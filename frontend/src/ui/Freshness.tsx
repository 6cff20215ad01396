import { quantity } from '../lib/quantity';
import { useNow } from '../lib/use-now';

/** How old data may be before it is called old, in milliseconds. New data arrives every few seconds. */
const STALE_AFTER = 10_000;

/** Says so if the newest data, which arrived at this time in milliseconds since the epoch, is old. */
export function Freshness({ at }: { at: number | undefined }) {
  const age = useNow() - (at ?? 0);
  const isStale = at !== undefined && age > STALE_AFTER;
  return (
    // The element exists while it is empty, because screen readers announce only changes. It then needs no space.
    <p role="status" className="text-sm font-medium text-warning empty:absolute">
      {isStale && (
        <>
          <span aria-hidden="true">⚠ </span>
          No new data for {/* The announcement is that it is stale, not each second of it. */}
          <span aria-hidden="true">{quantity(Math.floor(age / 1_000), 'seconds')}</span>
          <span className="sr-only">a while</span>
        </>
      )}
    </p>
  );
}
