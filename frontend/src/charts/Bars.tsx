import { useId } from 'react';
import { quantity, type Unit } from '../lib/quantity';

interface Props {
  title: string;
  /** More about the figures, such as the time range. */
  note?: string;
  /** The name of the figures, such as `page views`. */
  caption: string;
  unit: Unit;
  values: readonly { readonly name: string; readonly value: number }[];
}

/** The maximum number of bars. The last one adds up the smaller values. */
const MAX_BARS = 8;

/** A breakdown as bars, longest first. It is a table for screen readers. */
export function Bars({ title, note, caption, unit, values }: Props) {
  const headingId = useId();
  const bars = rank(values);
  const longest = Math.max(...bars.map(({ value }) => value), 0);
  const total = values.reduce((sum, { value }) => sum + value, 0);
  return (
    <div className="px-4 py-3">
      <div className="mb-2 flex flex-wrap items-baseline justify-between gap-x-4">
        <h3 id={headingId} className="text-sm font-medium">
          {title}
        </h3>
        {note && <p className="text-xs text-muted tabular-nums">{note}</p>}
      </div>
      <table aria-labelledby={headingId} className="w-full text-sm tabular-nums">
        <thead className="sr-only">
          <tr>
            <th scope="col">Name</th>
            <th scope="col">{caption}</th>
            <th scope="col">Share</th>
          </tr>
        </thead>
        <tbody>
          {bars.map(({ name, value }) => (
            <tr key={name}>
              <th scope="row" className="w-full max-w-0 py-1 text-start font-normal">
                <span className="block truncate" title={name}>
                  {name}
                </span>
                <span aria-hidden="true" className="mt-0.5 block h-1.5 rounded-full bg-raised">
                  <span
                    className="block h-full min-w-px rounded-full bg-brand motion-safe:transition-[width]"
                    style={{ width: longest > 0 ? `${(value / longest) * 100}%` : 0 }}
                  />
                </span>
              </th>
              <td className="min-w-16 ps-3 pb-0.5 text-end align-bottom font-medium whitespace-nowrap">
                {quantity(value, unit)}
              </td>
              <td className="min-w-16 ps-3 pb-0.5 text-end align-bottom whitespace-nowrap text-muted">
                {total > 0 ? share(value / total) : '–'}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** Below a tenth of a percent, digits say less than they cost. */
function share(part: number): string {
  const percent = part * 100;
  return percent > 0 && percent < 0.1 ? '< 0.1%' : quantity(percent, 'percent');
}

/** Sorts from the largest; sums up what would be too many bars. */
export function rank(values: Props['values']): Props['values'] {
  const sorted = values.toSorted((a, b) => b.value - a.value || a.name.localeCompare(b.name));
  if (sorted.length <= MAX_BARS) return sorted;
  const others = sorted.slice(MAX_BARS - 1);
  const sum = others.reduce((total, { value }) => total + value, 0);
  return [...sorted.slice(0, MAX_BARS - 1), { name: `${others.length} others`, value: sum }];
}
