import { kinds, splitTopic } from './lib/topic';

/**
 * The gateway that the page belongs to: `VITE_API_URL`; without it the usual local one in development,
 * and in production `base`, the path of the page, as the gateway then serves the page too.
 */
export function gatewayURL({ VITE_API_URL, DEV }: ImportMetaEnv, base: string): string {
  const url = VITE_API_URL?.replace(/\/+$/, '');
  if (url) return url;
  return DEV ? 'http://localhost:4000' : base;
}

/** The topics that an address such as `…/logs?stream=mine&channel=prices.*` names, or the fallback if it names none. */
export function parseTopics(
  query: URLSearchParams,
  fallback: readonly string[],
): readonly string[] {
  const named = kinds.flatMap((kind) => query.getAll(kind).map((name) => `${kind}:${name}`));
  const topics = [...new Set(named.filter((topic) => !topic.endsWith(':')))];
  return topics.length > 0 ? topics : fallback;
}

/** The address of a screen that follows a topic. */
export function formatAddress(path: string, topic: string): string {
  return `${path}?${new URLSearchParams([splitTopic(topic)]).toString()}`;
}
