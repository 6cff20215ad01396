import uPlot from 'uplot';
import { clock } from '../lib/clock';
import { quantity, type Unit } from '../lib/quantity';
import { type Column, isValue } from './series-summary';

/** The design tokens that lines are drawn in. */
type LineColour = 'accent' | 'warning-line' | 'control';

/** The content of a chart. Times are in seconds since the epoch. */
export interface ChartSpec {
  readonly unit: Unit;
  readonly lines: readonly { readonly label: string; readonly colour: LineColour }[];
  /** The maximum of the unit, such as 100%. Default: the maximum of the data. */
  readonly max?: number | undefined;
  /** Where data may be missing; read with each drawing. */
  readonly gaps: () => readonly number[];
  /** Called with the index of the data point below the pointer, and with `null` when the pointer leaves. */
  readonly onCursor: (index: number | null) => void;
}

/** Wide enough for `1,023 KiB/s`. */
const AXIS_WIDTH = 62;

/** The options of uPlot. Colors are functions, because the theme can change. */
export function chartOptions(spec: ChartSpec): Omit<uPlot.Options, 'width' | 'height'> {
  const { unit, lines, max } = spec;
  return {
    padding: [10, 28, 0, 0],
    legend: { show: false },
    cursor: {
      // Charts of one page show the same moment under the pointer.
      sync: { key: 'time' },
      drag: { x: false, y: false },
      points: { size: 7 },
    },
    scales: {
      x: { time: true },
      y: { range: (_, low, high) => yRange(low, high, max) },
    },
    axes: [
      {
        ...axis(),
        space: 70,
        size: 26,
        values: (_, splits) => splits.map((split) => clock(split * 1_000)),
      },
      {
        ...axis(),
        space: 30,
        size: AXIS_WIDTH,
        values: (_, splits) => splits.map((split) => quantity(split, unit)),
      },
    ],
    series: [
      {},
      ...lines.map(({ label, colour }) => ({
        label,
        stroke: () => token(colour),
        fill: () => (lines.length === 1 ? token('accent-soft') : 'transparent'),
        width: 1.75,
        points: {
          ...{ show: false, size: 5 },
          filter: (chart: uPlot, line: number) => lonely(chart.data[line] ?? []),
        },
      })),
    ],
    hooks: {
      setCursor: [({ cursor }) => spec.onCursor(cursor.idx ?? null)],
      draw: [(chart) => drawGaps(chart, spec.gaps())],
    },
  };
}

/** The places of values without a neighbour, which no line shows. */
export function lonely(values: Column): number[] {
  const isAt = (n: number) => isValue(values[n]);
  const places = Array.from(values, (_, n) => n);
  return places.filter((n) => isAt(n) && !isAt(n - 1) && !isAt(n + 1));
}

/** The range of the axis. It includes zero, so heights can be compared, and a margin above the data. */
export function yRange(low: number | null, high: number | null, max?: number): [number, number] {
  const bottom = Math.min(0, low ?? 0) * 1.15;
  const top = max ?? Math.max(0, high ?? 0) * 1.15;
  return [bottom, top > bottom ? top : bottom + 1];
}

function axis(): uPlot.Axis {
  return {
    font: `11px ${token('font-sans')}`,
    stroke: () => token('muted'),
    grid: { stroke: () => token('line'), width: 1 },
    ticks: { show: false },
  };
}

/** A dashed line where the lines are interrupted, as a break alone is easily overlooked. */
function drawGaps(chart: uPlot, gaps: readonly number[]) {
  const { ctx, bbox, scales } = chart;
  const { min = 0, max = 0 } = scales.x ?? {};
  ctx.save();
  ctx.strokeStyle = token('warning-line');
  ctx.lineWidth = 2 * uPlot.pxRatio;
  ctx.setLineDash([4 * uPlot.pxRatio, 3 * uPlot.pxRatio]);
  for (const gap of gaps) {
    if (gap < min || gap > max) continue;
    const x = chart.valToPos(gap, 'x', true);
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
  }
  ctx.restore();
}

/** Values of design tokens, by theme and name. To read one, the browser computes the styles of the page again. */
const tokens = new Map<string, string>();

function token(name: string): string {
  const root = document.documentElement;
  const key = `${root.dataset.theme} ${name}`;
  let value = tokens.get(key);
  if (value === undefined) {
    value = getComputedStyle(root).getPropertyValue(`--${name}`).trim();
    tokens.set(key, value);
  }
  return value;
}
