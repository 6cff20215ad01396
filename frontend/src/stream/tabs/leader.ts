import { awaitEnd } from './election';
import type { ExchangeState, Reached, Want } from './exchange';
import {
  type Answer,
  deliver,
  type Delivery,
  type Member,
  type Message,
  type OpenExchange,
} from './member';

/** What a tab does while it leads; see `group.ts`. */
export interface Leader {
  /** What a tab wants from now on, this one included. */
  readonly setWants: (tab: string, wants: readonly Want[]) => void;
  /** Takes what another tab has said. */
  readonly hear: (message: Message) => void;
  /** Leads no more. */
  readonly stop: () => void;
}

/** Who leads whom. */
export interface Lead {
  readonly group: string;
  readonly tab: string;
  /** See {@link Message}. */
  readonly term: number;
}

/** Follows what all tabs of a group want, and passes on what comes. */
export function lead(
  { group, tab: own, term }: Lead,
  member: Member,
  open: OpenExchange,
  send: (message: Message) => void,
): Leader {
  const departures = new AbortController();
  const tabs = new Set([own]);
  const post = (answer: Answer) => send({ ...answer, term });
  // A tab that nobody knows of yet wants nothing yet.
  const outbox = createOutbox((answer) => {
    if (tabs.size > 1) post(answer);
  });
  let latest: ExchangeState | undefined;

  const exchange = open({
    onJoined: (tab, joined) => {
      outbox.flush();
      if (tab === own) member.onJoined(joined);
      else post({ kind: 'joined', tab, joined });
    },
    onItem: (lane, topic, item, reached) => {
      const delivery = { lane, topic, item };
      outbox.add(delivery, reached);
      deliver(member, delivery, reached);
    },
    onReached: (lane, reached) => {
      outbox.move(lane, reached);
      member.onItems([], { [lane]: reached });
    },
    onState: (state) => {
      latest = state;
      member.onState(state);
      outbox.flush();
      post({ kind: 'state', state });
    },
  });

  function setWants(tab: string, wants: readonly Want[]) {
    exchange.setWants(tab, wants, tab === own ? member.pastOf : undefined);
    if (tabs.has(tab)) return;
    tabs.add(tab);
    if (latest) post({ kind: 'state', state: latest });
    awaitEnd(`${group}/${tab}`, departures.signal, () => {
      tabs.delete(tab);
      exchange.setWants(tab, []);
    });
  }

  function hear(message: Message) {
    if (message.kind === 'wants') setWants(message.tab, message.wants);
    else if (message.kind === 'retry') exchange.retryNow();
    else if (message.kind === 'question') post({ kind: 'answer' });
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
function createOutbox(post: (answer: Answer) => void) {
  const turn = new MessageChannel();
  let deliveries: Delivery[] = [];
  let reached: Record<string, Reached> = {};
  let isDue = false;

  function add(delivery: Delivery, now: Reached | undefined) {
    deliveries.push(delivery);
    if (now) reached[delivery.lane] = now;
    request();
  }

  function move(lane: string, now: Reached) {
    reached[lane] = now;
    request();
  }

  function request() {
    if (!isDue) turn.port1.postMessage(undefined);
    isDue = true;
  }

  function flush() {
    if (!isDue) return;
    post({ kind: 'items', deliveries, reached });
    deliveries = [];
    reached = {};
    isDue = false;
  }

  function close() {
    flush();
    turn.port1.close();
  }

  turn.port2.onmessage = flush;
  return { add, move, flush, close };
}
