import { Figure } from '../../ui/Figure';
import { labelOf, quantity, unitOf } from '../../lib/quantity';
import { type SeriesSummary, summarise, trend } from '../../charts/series-summary';
import { type Part, windowOf } from './window';
import { type Columns, isCount } from './figures';

/** The total of a figure in the selected time range, and its change from the range before. */
export function FigureTotal({ series, field, column, span }: Part<Columns['figures'][number]>) {
  const [times, ...columns] = series.data;
  const values = columns[column] ?? [];
  const { from, covered } = windowOf(series, span);
  const isCounted = isCount(field);
  const now = summarise(times, values, from);
  const before = summarise(times, values, from - span, from);
  const isComparable = (times[0] ?? from) <= from - span + 2;

  const compared = (summary: SeriesSummary | undefined) =>
    isCounted ? summary?.sum : summary?.mean;
  const unit = unitOf(field);
  const value = isCounted ? now?.sum : now?.latest;
  const minutes = quantity(span, 'seconds');
  return (
    <Figure
      label={labelOf(field)}
      value={value === undefined ? '–' : quantity(value, unit)}
      note={
        <>
          {isCounted
            ? `in ${quantity(covered, 'seconds')}`
            : `${quantity(now?.mean ?? 0, unit)} on average`}
          {isComparable && (
            <Trend change={trend(compared(before), compared(now))} minutes={minutes} />
          )}
        </>
      }
    />
  );
}

/** Changes below half a percent are noise. */
const STEADY = 0.005;

function Trend({ change, minutes }: { change: number | undefined; minutes: string }) {
  if (change === undefined) return null;
  const size = quantity(Math.abs(change) * 100, 'percent');
  const [arrow, words] =
    Math.abs(change) < STEADY
      ? ['→', 'steady']
      : change > 0
        ? ['▲', `up ${size}`]
        : ['▼', `down ${size}`];
  return (
    <span
      className="ms-2 font-medium whitespace-nowrap text-ink"
      title={`Compared with the ${minutes} before`}
    >
      <span aria-hidden="true">{arrow}</span> {words}
      <span className="sr-only"> compared with the {minutes} before</span>
    </span>
  );
}
