import type { LogRow } from './line';

/**
 * Rows as NDJSON, a line for each, as parts of a file: `{"time","topic","id","type","data"}`, with JSON data
 * as it was written, numbers included; and `{"time","gap":{"topic","reason","lost"}}` where lines may be
 * missing, as a file should have no silent hole either.
 */
export function toNDJSON(rows: Iterable<LogRow>): string[] {
  return Array.from(rows, (row) => (row.kind === 'gap' ? gapLine(row) : eventLine(row)));
}

function gapLine({ entry: { receivedAt, topic, reason, lost } }: LogRow & { kind: 'gap' }): string {
  return `${JSON.stringify({ time: isoTime(receivedAt), gap: { topic, reason, lost } })}\n`;
}

function eventLine({ time, entry }: LogRow & { kind: 'line' }): string {
  const { topic, id, type, data } = entry;
  const head = JSON.stringify({ time: isoTime(time), topic, id, type });
  return `${head.slice(0, -1)},"data":${asJSON(data)}}\n`;
}

const isoTime = (time: number) => new Date(time).toISOString();

/** JSON on one line: inside of JSON, a raw line break can only stand between two tokens. */
function asJSON(data: string): string {
  try {
    JSON.parse(data);
    return data.replace(/[\r\n]+/g, ' ').trim();
  } catch {
    return JSON.stringify(data);
  }
}
