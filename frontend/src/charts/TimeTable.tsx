import { useEffect, useEffectEvent, useId, useState } from 'react';
import { clock } from '../lib/clock';
import { quantity } from '../lib/quantity';
import type { TimeChartProps } from './TimeChart';
import { newestRows } from './time-table';

/** The properties of the chart that shows the same. */
type Props = Pick<TimeChartProps, 'title' | 'unit' | 'lines' | 'data' | 'gaps'>;

const ROWS = 50;
/** Milliseconds: a table that changes with each event cannot be read. */
const INTERVAL = 1_000;

/** The numbers behind a chart, on request. */
export function TimeTable(props: Props) {
  const [isOpen, setOpen] = useState(false);
  return (
    <details
      onToggle={({ currentTarget }) => setOpen(currentTarget.open)}
      className="px-4 pb-2 text-sm"
    >
      <summary className="w-fit cursor-pointer rounded py-1 text-xs text-muted hover:text-ink">
        Show as table<span className="sr-only">: {props.title}</span>
      </summary>
      {isOpen && <Rows {...props} />}
    </details>
  );
}

function Rows(props: Props) {
  const { title, unit, lines, data, gaps } = useSteady(props);
  const captionId = useId();
  const rows = newestRows(data, gaps, ROWS);
  return (
    // It can be scrolled by keyboard only where it can have the focus.
    <div
      role="region"
      aria-labelledby={captionId}
      tabIndex={0}
      className="mt-1 max-h-56 overflow-auto overscroll-contain rounded-lg border border-line"
    >
      <table className="w-full tabular-nums">
        <caption id={captionId} className="sr-only">
          {title}, newest first
        </caption>
        <thead className="sticky top-0 bg-raised text-xs text-muted">
          <tr>
            {['Time', ...lines.map(({ label }) => label)].map((head) => (
              <th key={head} scope="col" className={cell}>
                {head}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map(({ time, values, isGap }, n) => (
            <tr key={n} className="border-t border-line">
              <th scope="row" className={`${cell} font-mono text-xs text-muted`}>
                {clock(time * 1_000)}
              </th>
              {isGap ? (
                <td colSpan={lines.length} className={`${cell} text-warning`}>
                  data may be missing
                </td>
              ) : (
                values.map((value, line) => (
                  <td key={line} className={cell}>
                    {value === undefined ? '–' : quantity(value, unit)}
                  </td>
                ))
              )}
            </tr>
          ))}
        </tbody>
      </table>
      {rows.length === 0 && <p className="px-3 py-2 text-muted">No data yet.</p>}
    </div>
  );
}

const cell = 'px-3 py-1 text-end font-normal whitespace-nowrap first:text-start';

/** A value that changes often, renewed once in each interval. */
function useSteady<T extends object>(value: T): T {
  const [shown, setShown] = useState(value);
  const renew = useEffectEvent(() => setShown(value));
  useEffect(() => {
    const timer = setInterval(() => renew(), INTERVAL);
    return () => clearInterval(timer);
  }, []);
  return shown;
}
