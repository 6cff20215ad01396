import { useMemo } from 'react';
import { labelOf, unitOf } from '../../lib/quantity';
import { TimeChart } from '../../charts/TimeChart';
import type { Series } from '@sluice/client';
import { columnOf } from './column';
import { isCount } from './figures';

interface Props {
  series: Series;
  field: string;
  /** The place of the figure among the series' columns. */
  column: number;
  /** Seconds. */
  span: number;
}

/** One figure over time. */
export function FigureChart({ series, field, column, span }: Props) {
  const drawn = useMemo(() => columnOf(series, column), [series, column]);
  const label = labelOf(field);
  const title = isCount(field) ? `${label} per second` : label;
  return (
    <TimeChart
      title={title}
      unit={unitOf(field)}
      lines={[{ label, colour: 'accent' }]}
      data={drawn}
      gaps={series.gaps}
      span={span}
    />
  );
}
