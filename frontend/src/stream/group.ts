import { awaitEnd, campaign, liveUnder } from './election';
import type { Exchange, ExchangeObserver, ExchangeState, Joined, Want } from './exchange';
import type { Item } from './history';
import type { Place } from './opening';
import { observePage } from './page';
import { randomName } from './random-name';

/** An item on its way to a tab. */
export interface Delivery {
  readonly lane: string;
  readonly topic: string;
  readonly item: Item;
}

/** What a tab does in its group. */
export interface Member {
  /** Makes ready to be known to a new leader: with new keys, each from where the tab has come to. */
  readonly rejoin: () => void;
  readonly wants: () => readonly Want[];
  readonly onJoined: (joined: Joined) => void;
  /** `places` are the newest ones behind the deliveries, by lane. */
  readonly onItems: (
    deliveries: readonly Delivery[],
    places: Readonly<Record<string, Place>>,
  ) => void;
  readonly onState: (state: ExchangeState) => void;
}

/** Tabs that share their connections, as one of them sees it. */
export interface Group {
  /** The member's wants have changed. */
  readonly update: () => void;
  readonly retryNow: () => void;
  readonly leave: () => void;
}

type Message =
  | { readonly kind: 'wants'; readonly tab: string; readonly wants: readonly Want[] }
  | { readonly kind: 'retry' | 'question' | 'answer' | 'lead' }
  | { readonly kind: 'joined'; readonly tab: string; readonly joined: Joined }
  | { readonly kind: 'state'; readonly state: ExchangeState }
  | {
      readonly kind: 'items';
      readonly deliveries: readonly Delivery[];
      readonly places: Readonly<Record<string, Place>>;
    };

type OpenExchange = (observer: ExchangeObserver) => Exchange;

/** Whether tabs can find each other: not on plain HTTP from another machine, nor in old browsers. */
const canShare = () =>
  typeof BroadcastChannel === 'function' && typeof navigator === 'object' && 'locks' in navigator;

/** Joins the tabs that use the same name; a tab that cannot is a group by itself. */
export function joinGroup(name: string, member: Member, open: OpenExchange): Group {
  return canShare() ? joinTabs(name, member, open) : stayAlone(member, open);
}

function stayAlone(member: Member, open: OpenExchange): Group {
  const exchange = open({
    onJoined: (_, joined) => member.onJoined(joined),
    onItem: (lane, topic, item, place) => deliver(member, { lane, topic, item }, place),
    onPlace: (lane, place) => member.onItems([], { [lane]: place }),
    onState: member.onState,
  });
  return {
    update: () => exchange.setWants('', member.wants()),
    retryNow: exchange.retryNow,
    leave: exchange.close,
  };
}

function deliver(member: Member, delivery: Delivery, place: Place | undefined) {
  member.onItems([delivery], place ? { [delivery.lane]: place } : {});
}

/** How often a tab looks whether its leader is there, in milliseconds. */
const LOOK = 2_000;
/** After so many questions without an answer a leader is frozen. */
const PATIENCE = 3;

/**
 * One tab of a group leads: it alone has connections, and passes on what comes. Each tab tells it what it
 * wants, and knows of everything that it follows how far it has come.
 *
 * When the leader goes, the next one goes on from where it has come to itself, and all tabs say again what
 * they want, and from where. What was under way between tabs at that moment may come twice, or tabs may
 * be ahead of their new leader. Both do no harm, as items are numbered: see `history.ts`. A tab skips what
 * it has. Nor can a leader that was frozen, and does not know yet that it leads no more, do any.
 */
function joinTabs(name: string, member: Member, open: OpenExchange): Group {
  const tab = randomName();
  const channel = new BroadcastChannel(name);
  const post = (message: Message) => channel.postMessage(message);
  let leading: ReturnType<typeof lead> | undefined;
  let unanswered = 0;
  let known = false;
  let left = false;

  channel.onmessage = ({ data }: MessageEvent<Message>) => {
    if (leading) leading.hear(data);
    else follow(data);
  };

  /** What the leader says to the others. */
  function follow(message: Message) {
    switch (message.kind) {
      case 'lead':
        startAnew();
        break;
      case 'joined':
        if (message.tab === tab) member.onJoined(message.joined);
        break;
      case 'items':
        member.onItems(message.deliveries, message.places);
        break;
      case 'state':
        member.onState(message.state);
        break;
      case 'answer':
        break;
      case 'wants':
      case 'retry':
      case 'question':
        return; // said to the leader
    }
    unanswered = 0;
  }

  function startAnew() {
    member.rejoin();
    update();
  }

  function update() {
    if (leading) leading.setWants(tab, member.wants());
    else if (known) post({ kind: 'wants', tab, wants: member.wants() });
  }

  // The leader learns from the browser when a tab is gone, for which the tab has to be known there first.
  const life = liveUnder(`${name}/${tab}`);
  void life.begun.then(() => {
    known = true;
    update();
  });

  const candidacy = campaign(name, () => {
    const mine = lead(name, tab, member, open, post);
    leading = mine;
    startAnew();
    post({ kind: 'lead' });
    return () => {
      if (left) return;
      mine.stop();
      leading = undefined;
      startAnew();
    };
  });

  // A page that comes back from the browser's cache has missed what was said meanwhile.
  const stopObserving = observePage({ onRestored: startAnew });

  const looking = setInterval(() => {
    if (leading) return;
    if (unanswered >= PATIENCE) candidacy.takeOver();
    unanswered = unanswered >= PATIENCE ? 0 : unanswered + 1;
    post({ kind: 'question' });
  }, LOOK);

  return {
    update,
    retryNow: () => (leading ? leading.hear({ kind: 'retry' }) : post({ kind: 'retry' })),
    leave: () => {
      left = true;
      clearInterval(looking);
      stopObserving();
      candidacy.withdraw();
      leading?.stop();
      life.end();
      channel.close();
    },
  };
}

/** What a tab does while it leads. */
function lead(
  name: string,
  own: string,
  member: Member,
  open: OpenExchange,
  post: (message: Message) => void,
) {
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
