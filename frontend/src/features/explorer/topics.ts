import { type Kind, kinds, splitTopic } from '../../lib/topic';
import { parseLast } from '../../lib/query-last';
import { isGlob } from '@sluice/client';

/** The names that each kind allows. */
export const hints: Readonly<Record<Kind, string>> = {
  channel: 'A Pub/Sub channel, or a glob such as prices.* (\\* for a star itself)',
  stream: 'A Redis Stream; its name is literal (\\* for a star in it)',
  key: 'A key of any type, or a glob such as price:* (\\* for a star itself)',
};

/** Why this cannot be followed; `undefined` where it can. */
export function problemOf(kind: Kind, name: string): string | undefined {
  if (name === '') return 'Enter a name.';
  // isGlob knows that streams have none, so it is asked about the same name as a channel's.
  if (kind === 'stream' && isGlob(`channel:${name}`)) {
    return 'A stream has no globs: write \\*, \\? or \\[ for the character itself.';
  }
  return undefined;
}

/** The topics and event types of the Explorer, as in the address. */
export interface Exploration {
  readonly topics: readonly string[];
  readonly last: number;
  /** Empty for every event. */
  readonly every: string;
  /** Event types to listen for, beside those without a name. */
  readonly events: readonly string[];
}

const defaultLast = 20;

export function readExploration(query: URLSearchParams): Exploration {
  return {
    topics: [...query]
      .filter(([name]) => kinds.some((kind) => kind === name))
      .map(([kind, name]) => `${kind}:${name}`),
    last: parseLast(query, defaultLast),
    every: query.get('every') ?? '',
    events: query.getAll('event'),
  };
}

export function writeExploration({ topics, last, every, events }: Exploration): URLSearchParams {
  const query = new URLSearchParams();
  for (const topic of topics) query.append(...splitTopic(topic));
  if (last !== defaultLast) query.set('last', String(last));
  if (every !== '') query.set('every', every);
  for (const event of events) query.append('event', event);
  return query;
}
