import { Bars } from '../../charts/Bars';
import { labelOf, quantity, unitOf } from '../../lib/quantity';
import { summarise } from '../../charts/series-summary';
import type { Series } from '@sluice/client';
import { windowOf } from './window';
import type { Columns } from './figures';

interface Props {
  series: Series;
  field: string;
  parts: Columns['breakdowns'][number]['parts'];
  /** Seconds. */
  span: number;
}

/** The sums of the parts of a figure in the selected time range. */
export function Breakdown({ series, field, parts, span }: Props) {
  const { data } = series;
  const [times] = data;
  const { from, covered } = windowOf(series, span);
  const values = parts.map(({ name, column }) => ({
    name,
    value: summarise(times, data[column + 1] ?? [], from)?.sum ?? 0,
  }));
  return (
    <Bars
      title={labelOf(field)}
      note={`in ${quantity(covered, 'seconds')}`}
      caption="Total"
      unit={unitOf(field)}
      values={values}
    />
  );
}
