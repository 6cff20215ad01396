import { isGlob, subscribedAs } from '@sluice/client';

/** An event to be published. */
export interface Publication {
  /** `kind:name`, literal: a glob's special characters have a backslash before them. */
  readonly topic: string;
  readonly data: string;
  /** The event's type; streams only. */
  readonly event?: string | undefined;
  /** How many entries to keep, about; streams only. */
  readonly maxlen?: string | undefined;
}

/** What to publish for a try, where nothing special is expected. */
const anything: Publication = { topic: 'channel:updates', data: '{"value":42}' };

/**
 * How to publish what the example does: to the first of the topics that can be published to, or where they
 * are globs, to the example's own topic if one of them covers it.
 */
export function publishCommands(topics: readonly string[], eventsURL: string, example = anything) {
  const literal = topics.find((candidate) => !isGlob(candidate));
  const covered = example !== anything && subscribedAs(example.topic, topics) !== undefined;
  const publication = { ...example, topic: literal ?? (covered ? example.topic : '') };
  const commands = [
    { tool: 'Redis', text: redisCommand(publication) ?? '' },
    { tool: 'HTTP', text: curlCommand(publication, eventsURL) ?? '' },
  ];
  return commands.filter(({ text }) => text !== '');
}

/** The command for redis-cli; `undefined` where the topic is none. */
export function redisCommand({ topic, data, event, maxlen }: Publication): string | undefined {
  const { kind, name } = parseTopic(topic) ?? {};
  if (!kind || !name) return undefined;
  switch (kind) {
    case 'channel':
      return shell('redis-cli', 'PUBLISH', name, data);
    case 'key':
      return shell('redis-cli', 'SET', name, data);
    case 'stream': {
      const trim = maxlen ? ['MAXLEN', '~', maxlen] : [];
      const type = event ? ['event', event] : [];
      return shell('redis-cli', 'XADD', name, ...trim, '*', 'data', data, ...type);
    }
    default:
      return undefined;
  }
}

/** The command for curl; `undefined` where the topic is none. */
export function curlCommand(publication: Publication, eventsURL: string): string | undefined {
  const url = publishURL(publication, eventsURL);
  // What begins with @ would be the name of a file to -d.
  const flag = publication.data.startsWith('@') ? '--data-raw' : '-d';
  return url && shell('curl', flag, publication.data, url);
}

/** The URL to which the event is sent by POST; `undefined` for an invalid topic. */
export function publishURL(publication: Publication, eventsURL: string): string | undefined {
  const { kind, pattern } = parseTopic(publication.topic) ?? {};
  if (!kind || !pattern) return undefined;
  const { event, maxlen } = kind === 'stream' ? publication : {};
  const url = new URL(eventsURL);
  url.search = new URLSearchParams({
    [kind]: pattern,
    ...(event ? { event } : {}),
    ...(maxlen ? { maxlen } : {}),
  }).toString();
  return url.href;
}

/** The gateway reads the name as a pattern, with backslashes. Redis reads it literally. */
function parseTopic(topic: string): { kind: string; pattern: string; name: string } | undefined {
  const [, kind, pattern] = /^(\w+):(.+)$/s.exec(topic) ?? [];
  if (!kind || !pattern) return undefined;
  return { kind, pattern, name: pattern.replace(/\\(.)/gs, '$1') };
}

const shell = (...words: string[]) => words.map(shellQuote).join(' ');

/** A word as a shell reads it back. */
export function shellQuote(word: string): string {
  return /^[\w.:/-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;
}
