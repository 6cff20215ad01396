import { type ConnectionOptions, createConnection } from './connection';
import { diagnose, isLasting, type Refusal } from './diagnose';
import { type Opening, type Place, placeAt, planOpening } from './opening';
import type { Frame } from './protocol';
import type { Status } from './status';
import { subscribedAs, topicOf } from './topic';

/** What a line needs to know of its gateway; see {@link createLine}. */
export interface LineOptions extends ConnectionOptions {
  /** Asked for each connection; sent in its URL, as `EventSource` can set no header. */
  readonly token?: (() => string | undefined) | undefined;
}

/** Is told what happens on a line, synchronously and in order. */
export interface LineObserver {
  readonly onStatus: (status: Status) => void;
  /** `topic` is the one that was followed, a glob perhaps; empty for frames that concern the whole line. */
  readonly onFrame: (frame: Frame, topic: string) => void;
  readonly onRefused: (refused: ReadonlyMap<string, Refusal>) => void;
}

/** One connection for a changing set of topics; see {@link createLine}. */
export interface Line {
  /** Adds a topic: from a place, or fresh with up to `last` recent events. */
  readonly follow: (topic: string, last: number, place?: Place) => void;
  readonly unfollow: (topic: string) => void;
  /** Hears events of these types from now on. */
  readonly hear: (types: readonly string[]) => void;
  readonly heard: () => Iterable<string>;
  /** Where the topics of the present connection go on; `undefined` until there was one. */
  readonly place: () => Place | undefined;
  /** Where a topic goes on; `undefined` until the gateway has said so. */
  readonly placeOf: (topic: string) => Place | undefined;
  /** Tries at once, with the topics that were refused, and with a new token. */
  readonly retryNow: () => void;
  readonly close: () => void;
}

interface Followed {
  readonly last: number;
  place: Place | undefined;
}

/** One that cannot be opened yet, as nothing is wanted. */
const nothing: Opening = { topics: [], last: 0, ids: [] };

/**
 * Follows a set of topics, which must not overlap, over one connection. When the set changes, the
 * connection is opened anew, once for all changes of a turn of the event loop: topics that stay go on
 * from the last id, so that they lose nothing and repeat nothing.
 *
 * A topic that the gateway refuses must not take the others with it. So when it refuses a request, each
 * topic is asked for by itself, and the guilty ones are left out until {@link Line.retryNow}.
 */
export function createLine(
  eventsURL: string,
  every: string,
  { onStatus, onFrame, onRefused }: LineObserver,
  { token, ...options }: LineOptions = {},
): Line {
  const followed = new Map<string, Followed>();
  const events = new Set<string>();
  let refused = new Map<string, Refusal>();
  /** Refused too, but all that was wanted: they are asked for again, until something else is wanted. */
  let hopeless = new Map<string, Refusal>();
  let asked = nothing;
  /** The topics that the present connection has opened with, and the place that moves with each id. */
  let open: readonly string[] = [];
  let place: Place | undefined;
  let isNewlyHearing = false;
  let changing = false;
  let closed = false;

  const connection = createConnection(
    { url: nextURL, events: () => events, explain: explainRefusal },
    { onStatus, onFrame: receive },
    options,
  );

  function follow(topic: string, last: number, from?: Place) {
    followed.set(topic, { last, place: from });
    change();
  }

  function unfollow(topic: string) {
    followed.delete(topic);
    if (hopeless.delete(topic) || refused.delete(topic)) {
      onRefused(new Map([...refused, ...hopeless]));
    }
    change();
  }

  function hear(types: readonly string[]) {
    const known = events.size;
    for (const type of types) events.add(type);
    if (events.size === known) return;
    isNewlyHearing = true;
    change();
  }

  function change() {
    if (changing) return;
    changing = true;
    queueMicrotask(() => {
      changing = false;
      if (!closed) reconnect();
    });
  }

  function reconnect() {
    if (followed.size === 0) {
      connection.stop();
      return;
    }
    if (wishes().some(({ topic }) => !hopeless.has(topic))) giveUpHopeless();
    // Where nothing but refused topics is left, they are asked for again.
    if (wishes().length === 0) refused = new Map();
    if (isNewlyHearing || !isUpToDate()) connection.reopen();
    connection.start();
  }

  /** What is refused must not hold up what has come to be wanted since. */
  function giveUpHopeless() {
    refused = new Map([...refused, ...hopeless]);
    hopeless = new Map();
  }

  function isUpToDate() {
    const wanted = wishes();
    if (open.length > 0) {
      return wanted.length === open.length && wanted.every((wish) => wish.place === place);
    }
    // It is about to open, and what is still missing comes with the next request.
    const { topics, last } = planOpening(wanted);
    return last === asked.last && topics.join() === asked.topics.join();
  }

  function wishes() {
    return [...followed]
      .filter(([topic]) => !refused.has(topic))
      .map(([topic, { last, place }]) => ({ topic, last, place }));
  }

  function nextURL() {
    open = [];
    isNewlyHearing = false;
    hopeless = new Map();
    asked = planOpening(wishes());
    return urlOf(asked);
  }

  function urlOf({ topics, last, ids }: Opening) {
    const query = new URLSearchParams();
    for (const topic of topics) {
      const kind = topic.slice(0, topic.indexOf(':'));
      query.append(kind, topic.slice(kind.length + 1));
    }
    if (last > 0) query.set('last', String(last));
    if (every !== '') query.set('every', every);
    for (const id of ids) query.append('lastEventId', id);
    const secret = token?.();
    if (secret) query.set('access_token', secret);
    return `${eventsURL}?${query.toString()}`;
  }

  function receive(frame: Frame) {
    if (frame.kind === 'open') open = asked.topics;
    if ('id' in frame && frame.id !== '') moveTo(placeAt(frame.id, open));
    onFrame(frame, topicIn(frame));
    if (frame.kind !== 'open') return;
    onRefused(new Map(refused));
    if (wishes().length > open.length) change();
  }

  function topicIn(frame: Frame): string {
    if (frame.kind !== 'message' && frame.kind !== 'gap') return '';
    const [sole = '', ...others] = open;
    if (others.length === 0) return sole;
    const origin = frame.kind === 'gap' ? frame.topic : topicOf(frame.id);
    return subscribedAs(origin ?? '', open) ?? '';
  }

  function moveTo(next: Place) {
    place = next;
    for (const topic of open) {
      const it = followed.get(topic);
      if (it) it.place = next;
    }
  }

  async function explainRefusal(signal: AbortSignal): Promise<Refusal | undefined> {
    const refusal = await diagnose(urlOf(asked), signal);
    if (!refusal || !isLasting(refusal)) return refusal;
    const found = await Promise.all(
      asked.topics.map(async (topic) => {
        const own = await diagnose(urlOf({ topics: [topic], last: 0, ids: [] }), signal);
        return own && isLasting(own) ? ([[topic, own]] as const) : [];
      }),
    );
    if (signal.aborted) return undefined;
    const guilty = found.flat();
    onRefused(new Map([...refused, ...guilty]));
    // Where no topic is left, the line waits, and tries them all again at its slowest pace.
    if (guilty.length === wishes().length) {
      hopeless = new Map(guilty);
      return refusal;
    }
    refused = new Map([...refused, ...guilty]);
    if (guilty.length > 0) connection.reopen();
    return guilty.length > 0 ? undefined : refusal;
  }

  function retryNow() {
    if (refused.size > 0) change();
    refused = new Map();
    onRefused(refused);
    connection.retryNow();
  }

  function close() {
    closed = true;
    connection.stop();
  }

  return {
    follow,
    unfollow,
    hear,
    heard: () => events,
    place: () => place,
    placeOf: (topic) => followed.get(topic)?.place,
    retryNow,
    close,
  };
}
