import { useVirtualizer } from '@tanstack/react-virtual';
import { type ReactNode, useMemo } from 'react';
import type { Entry } from '@sluice/client';
import type { Feed } from '../../feed/use-feed';

interface Props {
  feed: Feed;
  /** The content of a row. Rows of any height are possible. */
  renderEntry: (entry: Entry) => ReactNode;
  /** The usual height of a row in pixels, used until a row is measured. */
  rowHeight: number;
}

/** Entries in an element that scrolls, newest first. Only visible rows are in the page. */
export function EntryList({ feed, renderEntry, rowHeight }: Props) {
  const { shown, scroller, onScroll } = feed;
  const newestFirst = useMemo(() => shown.toReversed(), [shown]);
  // Its functions are used only in this component, so no memoized part shows an old result.
  // eslint-disable-next-line react-hooks/incompatible-library
  const virtualizer = useVirtualizer({
    count: newestFirst.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => rowHeight,
    getItemKey: (index) => newestFirst[index]?.seq ?? index,
    overscan: 10,
  });
  // By default it adds the height of new rows to the scroll position, so the way back to the newest row fails.
  virtualizer.shouldAdjustScrollPositionOnItemSizeChange = () => false;
  const rows = virtualizer.getVirtualItems();
  const above = rows[0]?.start ?? 0;
  const below = virtualizer.getTotalSize() - (rows.at(-1)?.end ?? 0);

  return (
    <div
      ref={scroller}
      role="log"
      aria-live="off"
      aria-label="Events"
      tabIndex={0}
      onScroll={onScroll}
      className="max-h-[max(24rem,100dvh-20rem)] overflow-y-auto overscroll-contain -outline-offset-2 [overflow-anchor:none]"
    >
      <ol style={{ paddingTop: above, paddingBottom: below }}>
        {rows.map(({ index, key }) => {
          const entry = newestFirst[index];
          return (
            entry && (
              <li
                key={key}
                ref={virtualizer.measureElement}
                data-index={index}
                aria-setsize={newestFirst.length}
                aria-posinset={index + 1}
              >
                {renderEntry(entry)}
              </li>
            )
          );
        })}
      </ol>
    </div>
  );
}
