import type { LogLine } from './line';
import type { Range } from './matcher';

/** A piece of a row's text that looks the same throughout. */
export interface Segment {
  readonly text: string;
  readonly part: 'source' | 'message' | 'fields';
  readonly isMatch: boolean;
}

/** Cuts a row's text where its parts and the matches begin and end; the matches must be in order. */
export function segmentsOf(line: LogLine, matches: readonly Range[]): Segment[] {
  const { text, messageStart, fieldsStart } = line;
  const cuts = [0, messageStart, fieldsStart, text.length];
  for (const { start, end } of matches) cuts.push(start, end);
  const edges = [...new Set(cuts)].sort((a, b) => a - b);

  const segments: Segment[] = [];
  let next = 0;
  for (let n = 1; n < edges.length; n++) {
    const [start = 0, end = 0] = edges.slice(n - 1, n + 1);
    while ((matches[next]?.end ?? Infinity) <= start) next += 1;
    segments.push({
      text: text.slice(start, end),
      part: start < messageStart ? 'source' : start < fieldsStart ? 'message' : 'fields',
      isMatch: (matches[next]?.start ?? Infinity) <= start,
    });
  }
  return segments;
}
