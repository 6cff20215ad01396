import { isGlob } from '../stream/protocol';

/** A way to publish an example event, for a terminal. */
export interface Command {
  readonly tool: string;
  readonly text: string;
}

const EXAMPLE = '{"value":42}';

const redisCommands: Readonly<Record<string, (name: string) => string>> = {
  channel: (name) => `PUBLISH ${name} '${EXAMPLE}'`,
  stream: (name) => `XADD ${name} '*' data '${EXAMPLE}'`,
  key: (name) => `SET ${name} '${EXAMPLE}'`,
};

/** How to publish to the first of the topics that can be published to: to a glob nothing can. */
export function publishCommands(topics: readonly string[], eventsURL: string): Command[] {
  const topic = topics.find((candidate) => !isGlob(candidate));
  const [, kind, escaped] = /^(\w+):(.+)$/s.exec(topic ?? '') ?? [];
  if (!kind || !escaped) return [];
  const name = escaped.replace(/\\(.)/gs, '$1');
  const redisCommand = redisCommands[kind]?.(shellQuote(name));
  if (!redisCommand) return [];

  const url = new URL(eventsURL);
  url.search = new URLSearchParams({ [kind]: name }).toString();
  return [
    { tool: 'Redis', text: `redis-cli ${redisCommand}` },
    { tool: 'HTTP', text: `curl -d '${EXAMPLE}' ${shellQuote(url.href)}` },
  ];
}

function shellQuote(word: string): string {
  return /^[\w.:/-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;
}
