import type { SubscriptionState } from '../../stream/subscription';

/** The topic that every screen tells of. */
const TOPIC = 'stream:notifications';

const NAME = 'sluice:unnoticed';
/** How long not to ask again, in milliseconds. */
const PAUSE = 24 * 60 * 60_000;

/**
 * What to tell of on every screen: nothing where the gateway has lately said that this reader may not know.
 * Asking each time would cost each page a refused request, and the screen for it asks anyway.
 */
export function noticedTopics(): readonly string[] {
  try {
    const refusedAt = Number(localStorage.getItem(NAME) ?? 0);
    return Date.now() - refusedAt < PAUSE ? [] : [TOPIC];
  } catch {
    return [TOPIC];
  }
}

/** Remembers whether the topic is open to this reader. */
export function rememberRefusal({ status, topics, refused }: SubscriptionState) {
  if (!topics.includes(TOPIC)) return;
  try {
    if (refused.has(TOPIC)) localStorage.setItem(NAME, String(Date.now()));
    else if (status.phase === 'live') localStorage.removeItem(NAME);
  } catch {
    // Then it is asked again with the next page.
  }
}
