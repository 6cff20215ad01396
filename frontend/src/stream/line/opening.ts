/** An id that the gateway gave, from which topics can go on, on any connection. */
export interface Place {
  readonly id: string;
  /** The topics that the gateway finds in the id. */
  readonly covers: readonly string[];
}

/** A topic that a line is to follow. */
export interface Wish {
  readonly topic: string;
  /** How many recent events it begins with, unless it has a place. */
  readonly last: number;
  /** Where it was left. */
  readonly place: Place | undefined;
}

/** What one request to the gateway can ask for. */
export interface Opening {
  readonly topics: readonly string[];
  readonly last: number;
  /** The last one counts for a topic that several cover. */
  readonly ids: readonly string[];
}

/**
 * The most that can be asked for at once. A request has one `last=`, for the topics that none of its ids
 * cover; so what wants another one comes with the next request, which goes on from the id that this one
 * gets. The same holds for a fresh topic that an id covers which another topic still needs, and for
 * topics each of which would go on from the other's id. The first wish is always met.
 */
export function planOpening(wishes: readonly Wish[]): Opening {
  let plan: Opening = { topics: [], last: 0, ids: [] };
  const met: Wish[] = [];
  // Those that go on come first: they are waiting.
  for (const wish of wishes.toSorted((a, b) => Number(!a.place) - Number(!b.place))) {
    const next = together([...met, wish]);
    if (!next) continue;
    met.push(wish);
    plan = next;
  }
  return plan;
}

function together(wishes: readonly Wish[]): Opening | undefined {
  const fresh = wishes.filter(({ place }) => !place);
  const last = fresh[0]?.last ?? 0;
  const places = inOrder(wishes);
  if (!places || fresh.some((wish) => wish.last !== last)) return undefined;
  if (fresh.some(({ topic }) => places.some(({ covers }) => covers.includes(topic))))
    return undefined;
  return { topics: wishes.map(({ topic }) => topic), last, ids: places.map(({ id }) => id) };
}

/** The places, each before those that topics it covers go on from instead; `undefined` if there is no such order. */
function inOrder(wishes: readonly Wish[]): Place[] | undefined {
  const left = new Map(wishes.flatMap(({ place }) => (place ? [[place.id, place]] : [])));
  const overrules = (later: Place, earlier: Place) =>
    wishes.some(({ topic, place }) => place?.id === later.id && earlier.covers.includes(topic));
  const ordered: Place[] = [];
  while (left.size > 0) {
    const others = (place: Place) => [...left.values()].filter(({ id }) => id !== place.id);
    const next = [...left.values()].find(
      (place) => !others(place).some((o) => overrules(place, o)),
    );
    if (!next) return undefined;
    ordered.push(next);
    left.delete(next.id);
  }
  return ordered;
}

/**
 * An id as it can be sent back with any list of topics. In a subscription to one topic ids hold the
 * cursor of that topic alone, and name nothing, or the one of a glob's channels or keys that the event
 * came from; so the topic is put before the cursor.
 */
export function placeAt(id: string, topics: readonly string[]): Place {
  const [sole, ...others] = topics;
  if (sole === undefined || others.length > 0) return { id, covers: topics };
  const cursor = id.slice(id.indexOf('@') + 1);
  return { id: `${encodeURIComponent(sole)}@${cursor}`, covers: topics };
}
