import { useMemo } from 'react';
import type uPlot from 'uplot';
import { labelOf, unitOf } from '../../components/quantity';
import { TimeChart } from '../../components/TimeChart';
import type { Series } from '../../stream/views/series';

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
  const { data, gaps } = series;
  const drawn = useMemo(
    () => [data[0], data[column + 1] ?? []] as unknown as uPlot.AlignedData,
    [data, column],
  );
  const title = labelOf(field);
  return (
    <TimeChart
      title={title}
      unit={unitOf(field)}
      lines={[{ label: title, colour: 'accent' }]}
      data={drawn}
      gaps={gaps}
      span={span}
    />
  );
}
