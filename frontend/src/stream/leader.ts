import { awaitEnd } from './election';
import type { ExchangeState, Want } from './exchange';
import { deliver, type Delivery, type Member, type Message, type OpenExchange } from './member';
import type { Place } from './opening';

/** What a tab does while it leads; see `group.ts`. */
export interface Leader {
  /** What a tab wants from now on, this one included. */
  readonly setWants: (tab: string, wants: readonly Want[]) => void;
  /** Takes what another tab has said. */
  readonly hear: (message: Message) => void;
  /** Leads no more. */
  readonly stop: () => void;
}

/** Follows what all tabs of a group want, and passes on what comes. */
export function lead(
  name: string,
  own: string,
  member: Member,
  open: OpenExchange,
  post: (message: Message) => void,
): Leader {
  const departures = new AbortController();
  const tabs = new Set([own]);
  // A tab that nobody knows of yet wants nothing yet.
  const outbox = createOutbox((message) => {
    if (tabs.size > 1) post(message);
  });
  let latest: ExchangeState | undefined;

  const exchange = open({
    onJoined: (tab, joined) => {
      outbox.flush();
      if (tab === own) member.onJoined(joined);
      else post({ kind: 'joined', tab, joined });
    },
    onItem: (lane, topic, item, place) => {
      const delivery = { lane, topic, item };
      outbox.add(delivery, place);
      deliver(member, delivery, place);
    },
    onPlace: (lane, place) => {
      outbox.move(lane, place);
      member.onItems([], { [lane]: place });
    },
    onState: (state) => {
      latest = state;
      member.onState(state);
      outbox.flush();
      post({ kind: 'state', state });
    },
  });

  function setWants(tab: string, wants: readonly Want[]) {
    exchange.setWants(tab, wants);
    if (tabs.has(tab)) return;
    tabs.add(tab);
    if (latest) post({ kind: 'state', state: latest });
    awaitEnd(`${name}/${tab}`, departures.signal, () => {
      tabs.delete(tab);
      exchange.setWants(tab, []);
    });
  }

  function hear(message: Message) {
    if (message.kind === 'wants') setWants(message.tab, message.wants);
    else if (message.kind === 'retry') exchange.retryNow();
    else if (message.kind === 'question') post({ kind: 'answer' });
    // A leader before this one may still be heard.
    else if (message.kind === 'items') member.onItems(message.deliveries, message.places);
  }

  function stop() {
    departures.abort();
    exchange.close();
    outbox.close();
  }

  return { setWants, hear, stop };
}

/**
 * Collects what comes in one turn of the event loop into one message. Turns are told by a message
 * channel, as timers are slowed down in the hidden tab that a leader often is.
 */
function createOutbox(post: (message: Message) => void) {
  const turn = new MessageChannel();
  let deliveries: Delivery[] = [];
  let places: Record<string, Place> = {};
  let isDue = false;

  function add(delivery: Delivery, place: Place | undefined) {
    deliveries.push(delivery);
    if (place) places[delivery.lane] = place;
    request();
  }

  function move(lane: string, place: Place) {
    places[lane] = place;
    request();
  }

  function request() {
    if (!isDue) turn.port1.postMessage(undefined);
    isDue = true;
  }

  function flush() {
    if (!isDue) return;
    post({ kind: 'items', deliveries, places });
    deliveries = [];
    places = {};
    isDue = false;
  }

  function close() {
    flush();
    turn.port1.close();
  }

  turn.port2.onmessage = flush;
  return { add, move, flush, close };
}
