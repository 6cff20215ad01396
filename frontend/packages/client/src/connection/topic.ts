const reaches = new Map<string, ReturnType<typeof readReach>>();

/** Parses the text of a followed topic once: each event needs the result. */
function reachOf(topic: string) {
  const known = reaches.get(topic);
  if (known) return known;
  const reach = readReach(topic);
  reaches.set(topic, reach);
  return reach;
}

/**
 * The names that a topic matches: those that begin with `prefix`, or exactly the prefix. It is the name with its kind,
 * without escapes, up to the first wildcard.
 */
function readReach(topic: string) {
  const hasGlobs = !isStream(topic);
  let prefix = '';
  for (let i = 0; i < topic.length; i++) {
    const escaped = topic.charAt(i) === '\\' && i + 1 < topic.length;
    if (escaped) i += 1;
    else if (hasGlobs && '*?['.includes(topic.charAt(i))) return { prefix, isGlob: true };
    prefix += topic.charAt(i);
  }
  return { prefix, isGlob: false };
}

/** Whether a topic is a Redis glob. A stream's name never is; `\*` stands for a literal star. */
export function isGlob(topic: string): boolean {
  return reachOf(topic).isGlob;
}

/** Whether the current value of a topic counts, not each change of it. */
export function isKey(topic: string): boolean {
  return topic.startsWith('key:');
}

/** Whether the topic is a stream, which can end. */
export function isStream(topic: string): boolean {
  return topic.startsWith('stream:');
}

/**
 * Whether one event could belong to both topics. Returns true too often for two globs, of which
 * only the beginnings are compared.
 */
export function mayOverlap(a: string, b: string): boolean {
  const [one, other] = [reachOf(a), reachOf(b)];
  return (
    one.prefix === other.prefix ||
    (one.isGlob && other.prefix.startsWith(one.prefix)) ||
    (other.isGlob && one.prefix.startsWith(other.prefix))
  );
}

/** Whether any two of the topics may overlap; see {@link mayOverlap}. */
export function haveOverlap(topics: readonly string[]): boolean {
  return topics.some((a, n) => topics.slice(n + 1).some((b) => mayOverlap(a, b)));
}

/**
 * Finds the topic that delivered an event. The topics must not overlap, so the beginning of a glob is
 * enough, and its wildcards need not be parsed.
 */
export function subscribedAs(origin: string, topics: Iterable<string>): string | undefined {
  const { prefix: name } = readReach(origin); // not cached: the number of names has no limit
  for (const topic of topics) {
    const { prefix, isGlob } = reachOf(topic);
    if (isGlob ? name.startsWith(prefix) : name === prefix) return topic;
  }
  return undefined;
}

/**
 * The topic in an id of the form `<topic>@<cursor>`, which is what a subscription to several topics
 * or to a glob gets. `undefined` if the id names no topic.
 */
export function topicOf(id: string): string | undefined {
  const end = id.indexOf('@');
  if (end <= 0) return undefined;
  try {
    return decodeURIComponent(id.slice(0, end));
  } catch {
    return undefined;
  }
}

/** Encodes a part of a query, as short as possible: characters without a meaning there stay as they are. */
export function encodeQuery(text: string): string {
  return encodeURIComponent(text).replace(/%(2C|2F|3A|3D|40)/g, decodeURIComponent);
}
