import { memo } from 'react';

const WIDTH = 128;
const HEIGHT = 24;
/** Keeps the line's thickness inside. */
const MARGIN = 2;

/** The course of a figure, oldest value first, as a small line; for those who do not see it, the figures beside it say enough. */
export const Sparkline = memo(function Sparkline({ values }: { values: readonly number[] }) {
  return (
    <svg
      viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
      width={WIDTH}
      height={HEIGHT}
      aria-hidden="true"
      className="inline-block text-accent"
    >
      <polyline
        points={sparkline(values)}
        fill="none"
        stroke="currentColor"
        strokeWidth="1.5"
        strokeLinejoin="round"
      />
    </svg>
  );
});

/** The points of an SVG polyline, from the lowest value at the bottom to the highest at the top. */
export function sparkline(values: readonly number[]): string {
  const low = Math.min(...values);
  const range = Math.max(...values) - low;
  const step = values.length > 1 ? WIDTH / (values.length - 1) : 0;
  return values
    .map((value, n) => {
      const share = range === 0 ? 0.5 : (value - low) / range;
      const y = HEIGHT - MARGIN - share * (HEIGHT - 2 * MARGIN);
      return `${(n * step).toFixed(1)},${y.toFixed(1)}`;
    })
    .join(' ');
}
