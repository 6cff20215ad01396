import { parse } from '@sluice/client';

export type Payload =
  | { readonly kind: 'reading'; readonly time: string; readonly value: string }
  /** JSON without the spaces between its tokens, numbers as they were written. */
  | { readonly kind: 'json'; readonly text: string }
  | { readonly kind: 'text'; readonly text: string };

/** Longer texts are shown as they are: reading them would hold up the page for little use. */
const MAX_JSON = 64 * 1024;

/** A JSON string; in text that was cut off, perhaps without its end. */
const STRING = /"[^"\\]*(?:\\.[^"\\]*)*"?/;

export function readPayload(data: string): Payload {
  const value = parseStructure(data);
  if (value === undefined) return { kind: 'text', text: data };
  return readReading(value, data) ?? { kind: 'json', text: compact(data) };
}

/** The object or array in a text; `undefined` for anything else, a bare number or string included. */
function parseStructure(data: string): object | undefined {
  if (data.length > MAX_JSON || !/^\s*[{[]/.test(data)) return undefined;
  return parse<object>(data).value;
}

/** Recognises `{time, value}`. With anything more in it, or a number that JavaScript rounds, it is JSON like any other. */
function readReading(object: object, data: string): Payload | undefined {
  const { time, value, ...more }: { time?: unknown; value?: unknown } = object;
  if (!isPlain(time) || !isPlain(value) || Object.keys(more).length > 0) return undefined;
  const rounded = [time, value].some((part) => !data.includes(JSON.stringify(part)));
  return rounded ? undefined : { kind: 'reading', time: String(time), value: String(value) };
}

function isPlain(value: unknown): value is string | number | boolean {
  return ['string', 'number', 'boolean'].includes(typeof value);
}

function compact(json: string): string {
  return json.replace(new RegExp(`(${STRING.source})|\\s+`, 'g'), '$1');
}

/** Splits compact JSON, perhaps cut off, into its keys and what is between them. */
export function splitKeys(json: string) {
  const parts: { readonly text: string; readonly isKey: boolean }[] = [];
  let end = 0;
  for (const { 0: text, index } of json.matchAll(new RegExp(`${STRING.source}(:?)`, 'g'))) {
    if (!text.endsWith('":')) continue;
    if (index > end) parts.push({ text: json.slice(end, index), isKey: false });
    parts.push({ text, isKey: true });
    end = index + text.length;
  }
  if (end < json.length) parts.push({ text: json.slice(end), isKey: false });
  return parts;
}
