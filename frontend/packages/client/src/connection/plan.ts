import { encodeQuery, isStream } from './topic.js';

/** An id that the gateway sent; topics can resume from it on any connection. */
export interface Cursor {
  readonly id: string;
  /** The topics that the gateway finds in the id. */
  readonly covers: readonly string[];
}

/** Where a topic starts in a request. */
export interface Start {
  /** Empty for the gateway's default topics. */
  readonly topic: string;
  /** The number of recent events to start with, unless there is a cursor; `Infinity` for all entries of a stream. */
  readonly last: number;
  readonly cursor: Cursor | undefined;
}

export interface Plan {
  readonly topics: readonly string[];
  readonly last: number;
  /** The later one counts for a topic that several cover. */
  readonly ids: readonly string[];
}

/** The longest URL to plan for, in characters: proxies accept it everywhere. One topic alone may exceed it. */
export const MAX_URL = 4_096;

/**
 * Plans a request for as many of the topics as one request can serve: at least the default topics, else the first
 * topic with a cursor, else the first one. The others follow in the next request, which resumes from the id that this one gets. These cannot be combined:
 * - the default topics, which a request cannot name, with others;
 * - a topic without recent events with one that asks for some. If several ask for some, all get the
 *   largest number;
 * - a stream that starts with its first entry with one that does not, or with a topic that asks for some events;
 * - a topic without a cursor with an id that covers it and that another topic needs;
 * - topics of which each would resume from the id of the other;
 * - topics and ids that exceed {@link MAX_URL} together.
 */
export function planRequest(starts: readonly Start[], urlLength: (plan: Plan) => number): Plan {
  let plan: Plan = { topics: [], last: 0, ids: [] };
  const served: Start[] = [];
  // The default topics are the first, as others can be added to them later; then those that resume.
  const rank = ({ topic, cursor }: Start) => (topic === '' ? 0 : cursor ? 1 : 2);
  for (const start of starts.toSorted((a, b) => rank(a) - rank(b))) {
    const next = combine([...served, start]);
    if (!next || (served.length > 0 && urlLength(next) > MAX_URL)) continue;
    served.push(start);
    plan = next;
  }
  return plan;
}

function combine(starts: readonly Start[]): Plan | undefined {
  if (starts.length > 1 && starts.some(({ topic }) => topic === '')) return undefined;
  const fresh = starts.filter(({ cursor }) => !cursor);
  const last = Math.max(0, ...fresh.map((start) => start.last));
  const cursors = inOrder(starts);
  if (!cursors || fresh.some((start) => excludes(start, last))) return undefined;
  if (fresh.some(({ topic }) => cursors.some(({ covers }) => covers.includes(topic))))
    return undefined;
  return { topics: starts.map(({ topic }) => topic), last, ids: cursors.map(({ id }) => id) };
}

/** Whether a topic without a cursor cannot be part of a request for this number of recent events. */
export function excludes({ topic, last: own }: Omit<Start, 'cursor'>, last: number): boolean {
  // `from=start` counts for all streams, and excludes `last`.
  return last < Infinity ? own === 0 && last > 0 : own < last && (own > 0 || isStream(topic));
}

/** The cursors, each before those that topics it covers resume from instead; `undefined` if no order exists. */
function inOrder(starts: readonly Start[]): Cursor[] | undefined {
  const left = new Map(starts.flatMap(({ cursor }) => (cursor ? [[cursor.id, cursor]] : [])));
  const overrules = (later: Cursor, earlier: Cursor) =>
    starts.some(({ topic, cursor }) => cursor?.id === later.id && earlier.covers.includes(topic));
  const ordered: Cursor[] = [];
  while (left.size > 0) {
    const others = (cursor: Cursor) => [...left.values()].filter(({ id }) => id !== cursor.id);
    const next = [...left.values()].find(
      (cursor) => !others(cursor).some((other) => overrules(cursor, other)),
    );
    if (!next) return undefined;
    ordered.push(next);
    left.delete(next.id);
  }
  return ordered;
}

/**
 * An id in the form that can be sent back with any list of topics. In a connection of one topic, ids hold the
 * cursor of that topic alone. They name no topic, or the channel or key of a glob that the event came
 * from; so the topic is put before the cursor.
 */
export function cursorFrom(id: string, topics: readonly string[]): Cursor {
  const [sole, ...others] = topics;
  if (sole === undefined || others.length > 0) return { id, covers: topics };
  const name = sole.replace(/[%@]|[^\x21-\x7e]+/g, encodeURIComponent);
  return { id: `${name}@${id.slice(id.indexOf('@') + 1)}`, covers: topics };
}

/**
 * Whether two cursors are the same position in the same topics. The topic in front of the id is that of the last
 * event, so it does not count. Cursors of different lists of topics cannot be compared.
 */
export function isSameCursor(a: Cursor, b: Cursor | undefined): boolean {
  const position = ({ id }: Cursor) => id.slice(id.indexOf('@'));
  if (!b || position(a) !== position(b)) return false;
  return a.covers.length === b.covers.length && a.covers.every((it) => b.covers.includes(it));
}

export function urlOf(
  eventsURL: string,
  { topics, last, ids }: Plan,
  { every = '', token = '' }: { every?: string; token?: string },
): string {
  const query: string[] = [];
  const add = (name: string, value: string) => query.push(`${name}=${encodeQuery(value)}`);
  for (const topic of topics) {
    const kind = topic.slice(0, topic.indexOf(':'));
    if (topic !== '') add(kind, topic.slice(kind.length + 1));
  }
  if (last === Infinity) add('from', 'start');
  else if (last > 0) add('last', String(last));
  if (every !== '') add('every', every);
  for (const id of ids) add('lastEventId', id);
  if (token !== '') add('access_token', token);
  return query.length > 0 ? `${eventsURL}?${query.join('&')}` : eventsURL;
}

/** About the length of one topic's part of an id and of a query, besides its name. */
const TOPIC_OVERHEAD = 60;

/** About the length of the longest URL that resumes the topics from one id. */
export function resumeLength(eventsURL: string, topics: readonly string[]): number {
  const lengths = topics.map((name) => encodeQuery(name).length);
  const all = lengths.reduce((sum, length) => sum + length + TOPIC_OVERHEAD, 0);
  return eventsURL.length + all + Math.max(...lengths);
}
