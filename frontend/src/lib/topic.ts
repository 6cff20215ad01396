export const kinds = ['channel', 'stream', 'key'] as const;
export type Kind = (typeof kinds)[number];

/** The kind and the name in a valid topic. */
export function splitTopic(topic: string): [kind: Kind, name: string] {
  const end = topic.indexOf(':');
  return [topic.slice(0, end) as Kind, topic.slice(end + 1)];
}
