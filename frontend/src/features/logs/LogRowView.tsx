import { memo } from 'react';
import { preciseClock } from '../../lib/clock';
import { gapText } from '../../lib/text';
import { levelLooks } from './level-looks';
import type { LogLine, LogRow } from './line';
import type { Matcher } from './matcher';
import { segmentsOf } from './segments';

interface Props {
  id: string;
  row: LogRow;
  /** Pixels from the top of the list. */
  top: number;
  /** The row's place in the list, from 1. */
  position: number;
  matcher: Matcher | undefined;
  isActive: boolean;
}

export const LogRowView = memo(function LogRowView(props: Props) {
  const { id, row, top, position, matcher, isActive } = props;
  const look =
    row.kind === 'gap'
      ? 'border-y border-dashed border-warning-line bg-warning-soft text-warning'
      : 'border-b border-line';
  return (
    <div
      id={id}
      role="option"
      aria-selected={isActive}
      data-seq={row.seq}
      aria-posinset={position}
      // The size changes with each event, and every row would render again.
      aria-setsize={-1}
      style={{ transform: `translateY(${top}px)` }}
      className={`absolute inset-x-0 top-0 flex h-7 cursor-pointer items-center gap-2 px-3 sm:gap-3 font-mono text-xs whitespace-nowrap aria-selected:bg-accent-soft ${look}`}
    >
      {row.kind === 'gap' ? (
        <span className="truncate font-sans font-medium">{gapText(row.entry)}</span>
      ) : (
        <Line line={row} matcher={matcher} />
      )}
    </div>
  );
});

const partLooks = { source: 'text-accent', message: '', fields: 'text-muted' };

function Line({ line, matcher }: { line: LogLine; matcher: Matcher | undefined }) {
  const time = preciseClock(line.time);
  return (
    <>
      <span className="text-muted tabular-nums">
        {time.slice(0, 8)}
        <span className="max-sm:hidden">{time.slice(8)}</span>
      </span>
      <span className={`w-9 shrink-0 font-semibold ${levelLooks[line.level]}`}>
        {line.level === 'other' ? '' : line.level}
      </span>
      <span dir="auto" className="min-w-0 truncate">
        {segmentsOf(line, matcher?.ranges(line.text) ?? []).map(({ text, part, isMatch }, n) =>
          isMatch ? (
            <mark key={n} className="rounded-xs bg-highlight text-ink">
              {text}
            </mark>
          ) : (
            <span key={n} className={partLooks[part]}>
              {text}
            </span>
          ),
        )}
      </span>
    </>
  );
}
