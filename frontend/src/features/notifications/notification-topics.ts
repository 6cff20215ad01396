import { useMemo } from 'react';
import { type StreamClient, type SubscriptionState } from '@sluice/client';
import { useStreamClient } from '@sluice/client/react';
import { createKept, useSetting } from '../../lib/setting';
import { store, storedJSON } from '../../lib/stored';

/** The topics of the notifications, unless the reader has chosen others. */
export const defaultTopics: readonly string[] = ['stream:notifications'];

const CHOICE = 'sluice:notification-topics';
const REFUSAL = 'sluice:notification-refusal';
/** How long not to ask again, in milliseconds. */
const PAUSE = 24 * 60 * 60_000;

const choice = createKept(CHOICE, chosenTopics, (topics) => {
  const text = JSON.stringify(topics);
  return text === JSON.stringify(defaultTopics) ? undefined : text;
});

/**
 * The topics that the reader has chosen, and those to subscribe to: none if the gateway has recently refused them. Reads
 * them again when the choice or the token changes.
 */
export function useNotificationTopics() {
  const client = useStreamClient();
  const chosen = useSetting(choice);
  return useMemo(() => withoutRefused(client, chosen), [client, chosen]);
}

/** Makes all parts of this page read the choice again, for example after a new token. */
export function readChoiceAgain() {
  choice.set([...chosenTopics()]);
}

/** Chooses the topics of the notifications for all tabs, and stores them. */
export function choose(topics: readonly string[]) {
  if (JSON.stringify(topics) !== JSON.stringify(chosenTopics())) choice.set(topics);
}

function chosenTopics(): readonly string[] {
  const chosen = storedJSON(CHOICE);
  const isList = Array.isArray(chosen) && chosen.every((topic) => typeof topic === 'string');
  return isList && chosen.length > 0 ? chosen : defaultTopics;
}

/** Leaves out topics that were refused recently, since each page would cost a refused request. */
function withoutRefused(client: StreamClient, chosen: readonly string[]) {
  const refusal = storedJSON(REFUSAL) as { key?: string; at?: number } | null;
  const isRefused =
    refusal?.key === refusalKey(client, chosen) && Date.now() - (refusal.at ?? 0) < PAUSE;
  return { chosen, topics: isRefused ? [] : chosen };
}

/** Identifies the token and the topics without containing the token: their FNV-1a hash. */
function refusalKey(client: StreamClient, topics: readonly string[]): string {
  const bytes = new TextEncoder().encode(JSON.stringify([client.authorization(), topics]));
  const hash = bytes.reduce((sum, byte) => Math.imul(sum ^ byte, 0x01000193), 0x811c9dc5);
  return (hash >>> 0).toString(36);
}

/** Remembers whether the chosen topics are open to this reader. */
export function rememberRefusal(client: StreamClient, state: SubscriptionState) {
  const { status, topics, refused } = state;
  if (topics.length === 0 || JSON.stringify(topics) !== JSON.stringify(chosenTopics())) return;
  if (refused.size === topics.length) {
    store(REFUSAL, JSON.stringify({ key: refusalKey(client, topics), at: Date.now() }));
  } else if (status.phase === 'live') {
    store(REFUSAL, undefined);
  }
}
