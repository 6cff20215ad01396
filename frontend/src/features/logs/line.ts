import type { GapEntry, MessageEntry } from '@sluice/client';
import { memberText, membersOf } from '../../feed/members';
import { type Level, levelInText, levelOf } from './levels';

/** A log line, ready to be shown and searched. */
export interface LogLine {
  readonly kind: 'line';
  /** Counts all rows of the tail from 1, without holes. */
  readonly seq: number;
  readonly entry: MessageEntry;
  readonly level: Level;
  /** The time in the line, in milliseconds since the epoch; without one, the time of arrival. */
  readonly time: number;
  /** The row's text, which is what a filter searches: service, message, then the other fields. */
  readonly text: string;
  /** Where in `text` the message begins, after the service. */
  readonly messageStart: number;
  /** Where in `text` the other fields begin. */
  readonly fieldsStart: number;
}

/** A line, or a place where lines may be missing. */
export type LogRow =
  LogLine | { readonly kind: 'gap'; readonly seq: number; readonly entry: GapEntry };

/** The maximum characters of a row. The detail of a line shows all of it. */
const MAX_TEXT = 4_096;

const timeFields = ['time', 'timestamp', '@timestamp', 'ts', 'date'];
const levelFields = ['level', 'severity', 'lvl', 'log.level', 'loglevel'];
const sourceFields = ['service', 'logger', 'component', 'app', 'source', 'name'];
const messageFields = ['message', 'msg', 'text', 'body', 'line'];

/** Reads an event as a log line: JSON with the usual fields under one of their usual names, or plain text. */
export function readLine(entry: MessageEntry, seq: number): LogLine {
  const fields = membersOf(entry.data);
  return fields ? readFields(fields, entry, seq) : readText(entry, seq);
}

function readText(entry: MessageEntry, seq: number): LogLine {
  const text = oneLine(entry.data);
  return {
    ...{ kind: 'line', seq, entry, level: levelInText(text), time: entry.receivedAt, text },
    messageStart: 0,
    fieldsStart: text.length,
  };
}

function readFields(fields: Map<string, string>, entry: MessageEntry, seq: number): LogLine {
  const time = readTime(valueOf(take(fields, timeFields)));
  const level = levelOf(valueOf(take(fields, levelFields)));
  const source = memberText(take(fields, sourceFields));
  const message = memberText(take(fields, messageFields));
  const rest = [...fields].map(([name, json]) => `${name}=${memberText(json)}`).join(' ');

  const messageStart = source === '' ? 0 : source.length + 1;
  const fieldsStart = messageStart + (message === '' ? 0 : message.length + 1);
  const text = oneLine([source, message, rest].filter((part) => part !== '').join(' '));
  return {
    ...{ kind: 'line', seq, entry, level, time: time ?? entry.receivedAt, text },
    messageStart: Math.min(messageStart, text.length),
    fieldsStart: Math.min(fieldsStart, text.length),
  };
}

/** Removes the first of the fields that exists, and returns its JSON. */
function take(fields: Map<string, string>, names: readonly string[]): string | undefined {
  const name = names.find((candidate) => fields.has(candidate));
  if (name === undefined) return undefined;
  const value = fields.get(name);
  fields.delete(name);
  return value;
}

/** Any time since 1973 and before 5138 is between the two in milliseconds, and outside in seconds, µs and ns. */
const MILLISECONDS = { from: 1e11, to: 1e14 };

function readTime(value: unknown): number | undefined {
  let time = typeof value === 'string' ? Date.parse(value) : Number(value ?? NaN);
  if (typeof value === 'number') {
    if (time < MILLISECONDS.from) time *= 1_000;
    while (time > MILLISECONDS.to && time < Infinity) time /= 1_000;
  }
  return Number.isNaN(new Date(time).getTime()) ? undefined : time;
}

function valueOf(json: string | undefined): unknown {
  return json === undefined ? undefined : JSON.parse(json);
}

/** Replaces each line break by one character, which keeps the offsets. */
function oneLine(text: string): string {
  return text.slice(0, MAX_TEXT).replace(/[\r\n\t]/g, ' ');
}
