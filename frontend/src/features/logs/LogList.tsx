import { useVirtualizer } from '@tanstack/react-virtual';
import {
  type KeyboardEvent,
  type MouseEvent,
  useEffectEvent,
  useId,
  useLayoutEffect,
  useRef,
} from 'react';
import { stopScroll } from '../../lib/scroll';
import { count } from '../../lib/text';
import type { LogRow } from './line';
import { LogRowView } from './LogRowView';
import type { Matcher } from './matcher';
import { indexOf, rowOf, type Tail, type TailSnapshot } from './tail';

interface Props {
  tail: Tail;
  snapshot: TailSnapshot;
  matcher: Matcher | undefined;
  /** The row that the keyboard is at. */
  active: LogRow | undefined;
  onActive: (row: LogRow) => void;
  onOpen: () => void;
  onClose: () => void;
}

/** The height of each row in pixels. With a fixed height, no row has to be measured. */
const ROW = 28;
/** A few pixels from the end still count as the end: fingers and zoomed pages are not exact. */
const END = 8;

/** The rows, oldest first, as in a terminal. The list follows the newest row until the reader scrolls up or pauses. */
export function LogList({ tail, snapshot, matcher, active, onActive, onOpen, onClose }: Props) {
  const { rows, waiting, heldBy } = snapshot;
  const isHeld = waiting !== undefined;
  const scroller = useRef<HTMLDivElement>(null);
  /** The last scroll position. The reader has scrolled only if it decreases: new rows do not change it. */
  const lastTop = useRef(0);
  const id = useId();

  // Its functions are used only in this component, so no memoized part shows an old result.
  // eslint-disable-next-line react-hooks/incompatible-library
  const virtualizer = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW,
    overscan: 12,
    // Without it the list starts at the top, and the first event would look like a scroll by the reader.
    initialOffset: () => rows.length * ROW,
  });

  const followEnd = useEffectEvent(() => {
    if (isHeld || !scroller.current) return;
    scroller.current.scrollTo({ top: rows.length * ROW });
    lastTop.current = scroller.current.scrollTop;
  });
  // The end of a hold stops a scroll, a snapshot does not: the reader must be able to scroll away from the newest row.
  useLayoutEffect(() => {
    if (!isHeld) stopScroll(scroller.current);
  }, [isHeld]);
  useLayoutEffect(() => followEnd(), [snapshot]);

  function onScroll() {
    const { scrollHeight = 0, scrollTop = 0, clientHeight = 0 } = scroller.current ?? {};
    const isAtEnd = scrollHeight - scrollTop - clientHeight <= END;
    // A filter that leaves fewer rows also decreases the position, but no further than to the new end.
    const isUpwards = scrollTop < Math.min(lastTop.current, scrollHeight - clientHeight);
    lastTop.current = scrollTop;
    if (!isAtEnd && isUpwards) tail.hold('scrolling');
    else if (isAtEnd && !isUpwards && heldBy === 'scrolling') tail.release();
  }

  function moveTo(index: number) {
    if (rows.length === 0) return;
    const bounded = Math.max(0, Math.min(index, rows.length - 1));
    // The rows must not move while the reader moves through them with the keyboard.
    tail.hold('scrolling');
    onActive(rows.at(bounded));
    stopScroll(scroller.current);
    virtualizer.scrollToIndex(bounded);
  }

  /** One listener for all rows: a listener for each would render every row again. */
  function onClick({ target }: MouseEvent) {
    const clicked = target instanceof Element && target.closest<HTMLElement>('[data-seq]');
    if (!clicked) return;
    // By its number: another row may have its index now.
    const row = rowOf(rows, Number(clicked.dataset.seq));
    if (!row) return;
    onActive(row);
    onOpen();
  }

  function onKeyDown(event: KeyboardEvent) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const index = active ? indexOf(rows, active.seq) : rows.length;
    const actions: Record<string, () => void> = {
      ArrowUp: () => moveTo(index - 1),
      ArrowDown: () => moveTo(index + 1),
      Home: () => moveTo(0),
      End: () => {
        // The reader's last scroll may not have begun a hold yet.
        stopScroll(scroller.current);
        tail.release();
      },
      Enter: onOpen,
      Escape: onClose,
      ' ': () => (isHeld ? tail.release() : tail.hold('pause')),
    };
    const action = actions[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  }

  const drawn = virtualizer.getVirtualItems();
  // One that was scrolled away is not in the page, and cannot be pointed to.
  const isDrawn = active && drawn.some(({ index }) => rows.at(index) === active);

  return (
    <div className="relative flex min-h-0 min-w-0 flex-1 flex-col">
      <div
        ref={scroller}
        role="listbox"
        aria-label="Log lines"
        aria-activedescendant={isDrawn ? `${id}-${active.seq}` : undefined}
        tabIndex={0}
        onScroll={onScroll}
        onClick={onClick}
        onKeyDown={onKeyDown}
        className="min-h-0 flex-1 overflow-x-hidden overflow-y-auto overscroll-contain -outline-offset-2 [overflow-anchor:none]"
      >
        <div role="presentation" className="relative" style={{ height: rows.length * ROW }}>
          {drawn.map(({ index, start }) => {
            const row = rows.at(index);
            return (
              <LogRowView
                key={row.seq}
                id={`${id}-${row.seq}`}
                row={row}
                top={start}
                position={index + 1}
                matcher={matcher}
                isActive={row === active}
              />
            );
          })}
        </div>
        {rows.length === 0 && (
          <p className="p-6 text-center text-sm text-muted">No matching lines</p>
        )}
      </div>
      {isHeld && (
        <button
          type="button"
          onClick={tail.release}
          className="absolute bottom-3 left-1/2 z-10 min-h-9 -translate-x-1/2 cursor-pointer rounded-full bg-brand px-4 text-sm font-medium text-white shadow-lg tabular-nums hover:brightness-110"
        >
          ↓ {waiting > 0 ? `${count(waiting)} new` : 'Latest'}
        </button>
      )}
      <Footer snapshot={snapshot} />
    </div>
  );
}

/** How much there is, and how much of it is shown. */
function Footer({ snapshot: { rows, kept, dropped, progress } }: { snapshot: TailSnapshot }) {
  return (
    <p className="flex flex-wrap gap-x-4 border-t border-line bg-raised px-4 py-1 text-xs text-muted tabular-nums">
      <span>
        {count(rows.length)} of {count(kept)} lines
      </span>
      {dropped > 0 && <span>{count(dropped)} older lines removed</span>}
      {progress !== undefined && <span>filtering… {Math.floor(progress * 100)} %</span>}
      <span className="ms-auto max-lg:hidden">
        <kbd>↑↓</kbd> move <kbd>Enter</kbd> detail <kbd>Space</kbd> pause <kbd>End</kbd> latest
      </span>
    </p>
  );
}
