/**
 * The id that Redis gave to an entry of a stream; `undefined` for other events. The id of an event covers all
 * topics of its connection, so it is also `undefined` if that has several streams.
 */
export function entryID(topic: string, id: string): string | undefined {
  if (!topic.startsWith('stream:')) return undefined;
  const found = [...id.matchAll(/(?:^|[@=])(\d+-\d+)(?=[.,]|$)/g)];
  return found.length === 1 ? found[0]?.[1] : undefined;
}
