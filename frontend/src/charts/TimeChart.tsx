import { useEffect, useEffectEvent, useId, useRef, useState } from 'react';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { chartOptions, type ChartSpec } from './chart-options';
import { quantity, type Unit } from '../lib/quantity';
import { inTurn } from './in-turn';
import { type Columns, type SeriesSummary, summarise } from './series-summary';
import { plural } from '../lib/text';
import { TimeTable } from './TimeTable';

export interface TimeChartProps extends Pick<ChartSpec, 'unit' | 'lines' | 'max'> {
  title: string;
  data: Columns;
  /** Where data may be missing, in seconds since the epoch. */
  gaps: readonly number[];
  /** How much time is shown at most, in seconds, up to the newest of the data. */
  span: number;
}

/** Lines over time, with their figures as text and as a table for those who do not see them. */
export function TimeChart({ title, unit, lines, data, gaps, span, max }: TimeChartProps) {
  const [cursor, setCursor] = useState<number | null>(null);
  const headingId = useId();
  const plot = usePlot({ unit, lines, data, gaps, span, max, onCursor: setCursor });

  const end = data[0].at(-1) ?? 0;
  const summaries = lines.map((_, n) => summarise(data[0], data[n + 1] ?? [], end - span));
  const visibleGaps = gaps.filter((gap) => gap >= end - span);
  const text = lines.map(({ label }, n) => summaryText(label, summaries[n], unit)).join('; ');

  return (
    <figure aria-labelledby={headingId} className="flex min-w-0 flex-col">
      <figcaption className="flex flex-wrap items-baseline justify-between gap-x-4 gap-y-1 px-4 pt-3">
        <h3 id={headingId} className="text-sm font-medium">
          {title}
        </h3>
        <dl className="flex flex-wrap gap-x-4 text-sm tabular-nums">
          {lines.map(({ label, colour }, n) => {
            const value = cursor === null ? summaries[n]?.latest : data[n + 1]?.[cursor];
            return (
              <div key={label} className="flex items-center gap-1.5">
                <span
                  aria-hidden="true"
                  className="h-0.75 w-3 rounded-full"
                  style={{ background: `var(--${colour})` }}
                />
                <dt className={lines.length === 1 ? 'sr-only' : 'text-muted'}>{label}</dt>
                <dd className="font-semibold">
                  {value === null || value === undefined ? '–' : quantity(value, unit)}
                </dd>
              </div>
            );
          })}
        </dl>
      </figcaption>
      <div
        ref={plot}
        role="img"
        aria-label={`${text}${visibleGaps.length > 0 ? `; ${gapsText(visibleGaps.length)}` : ''}`}
        className="h-40 min-w-0 overflow-hidden"
      />
      <TimeTable title={title} unit={unit} lines={lines} data={data} gaps={gaps} />
    </figure>
  );
}

function gapsText(gaps: number): string {
  return gaps === 1 ? 'one gap in the data' : `${gaps} gaps in the data`;
}

function summaryText(label: string, summary: SeriesSummary | undefined, unit: Unit): string {
  if (!summary) return `${label}: no data yet`;
  const [latest, min, max, mean] = [summary.latest, summary.min, summary.max, summary.mean].map(
    (value) => quantity(value, unit),
  );
  return `${label}: now ${latest}, from ${min} to ${max}, ${mean} on average of ${plural(summary.count, 'point')}`;
}

interface Plot extends Omit<TimeChartProps, 'title'> {
  onCursor: (index: number | null) => void;
}

/** Draws into the element that gets the ref returned. */
function usePlot({ unit, lines, data, gaps, span, max, onCursor }: Plot) {
  const element = useRef<HTMLDivElement>(null);
  const chart = useRef<uPlot>(undefined);
  const onCursorEvent = useEffectEvent(onCursor);
  const currentGaps = useRef(gaps);
  // Lines are usually literals in JSX, which are new objects in each render, so they are compared by content.
  const spec = JSON.stringify(lines);

  const show = useEffectEvent(() => {
    currentGaps.current = gaps;
    chart.current?.batch(() => {
      chart.current?.setData(data as unknown as uPlot.AlignedData, false);
      chart.current?.setScale('x', timeRange(data[0], span));
    });
  });

  useEffect(() => {
    const target = element.current;
    if (!target) return;
    let size = { width: 0, height: 0 };
    let cancel: (() => void) | undefined;
    const options = chartOptions({
      ...{ unit, max, lines: JSON.parse(spec) as TimeChartProps['lines'] },
      gaps: () => currentGaps.current,
      onCursor: (index) => onCursorEvent(index),
    });
    const create = () => {
      chart.current = new uPlot({ ...options, ...size }, undefined, target);
      show();
    };
    // Its entries have the size: to ask the element for it would lay out the page once for each chart.
    const resizing = new ResizeObserver(([entry]) => {
      const { width = 0, height = 0 } = entry?.contentRect ?? {};
      size = { width: Math.round(width), height: Math.round(height) };
      if (chart.current) chart.current.setSize(size);
      else cancel ??= inTurn(create);
    });
    resizing.observe(target);
    const stopTheme = onThemeChange(() => chart.current?.redraw());
    return () => {
      cancel?.();
      resizing.disconnect();
      stopTheme();
      chart.current?.destroy();
      chart.current = undefined;
    };
  }, [unit, spec, max]);

  useEffect(() => show(), [data, gaps, span]);

  return element;
}

/** A minute is shown from the start, and more as the data comes, up to the span. */
const MIN_SPAN = 60;

function timeRange(times: ArrayLike<number>, span: number): { min: number; max: number } {
  const max = times[times.length - 1] ?? 0;
  const begin = Math.min(times[0] ?? max, max - MIN_SPAN);
  return { min: Math.max(begin, max - span), max };
}

/** Calls when the page's colours may have changed: its theme is an attribute of the root. */
function onThemeChange(onChange: () => void): () => void {
  const observer = new MutationObserver(onChange);
  observer.observe(document.documentElement, { attributes: true });
  return () => observer.disconnect();
}
