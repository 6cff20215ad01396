import { campaign, liveUnder } from './election';
import { lead, type Leader } from './leader';
import { deliver, type Member, type Message, type OpenExchange } from './member';
import { observePage } from '../line/page';
import { randomName } from './random-name';

/** Tabs that share their connections, as one of them sees it. */
export interface Group {
  /** The member's wants have changed. */
  readonly update: () => void;
  readonly retryNow: () => void;
  readonly leave: () => void;
}

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
    onItem: (lane, topic, item, reached) => deliver(member, { lane, topic, item }, reached),
    onReached: (lane, reached) => member.onItems([], { [lane]: reached }),
    onState: member.onState,
  });
  return {
    update: () => exchange.setWants('', member.wants(), member.pastOf),
    retryNow: exchange.retryNow,
    leave: exchange.close,
  };
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
 * it has. Nor can a leader that was frozen, and does not know yet that it leads no more, do any: what it says is older than what its successor has said.
 */
function joinTabs(name: string, member: Member, open: OpenExchange): Group {
  const tab = randomName();
  const channel = new BroadcastChannel(name);
  const post = (message: Message) => channel.postMessage(message);
  let leading: Leader | undefined;
  /** That of the newest leader that was heard. */
  let term = 0;
  let unanswered = 0;
  let known = false;
  let left = false;

  channel.onmessage = ({ data }: MessageEvent<Message>) => {
    if (leading) leading.hear(data);
    else follow(data);
  };

  /** What the leader says to the others. */
  function follow(message: Message) {
    if (!('term' in message) || message.term < term) return;
    term = message.term;
    switch (message.kind) {
      case 'lead':
        startAnew();
        break;
      case 'joined':
        if (message.tab === tab) member.onJoined(message.joined);
        break;
      case 'items':
        member.onItems(message.deliveries, message.reached);
        break;
      case 'state':
        member.onState(message.state);
        break;
      case 'answer':
        break;
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
    if (!left) update();
  });

  const candidacy = campaign(name, () => {
    term = Math.max(term + 1, Date.now());
    const mine = lead({ group: name, tab, term }, member, open, post);
    leading = mine;
    startAnew();
    post({ kind: 'lead', term });
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
