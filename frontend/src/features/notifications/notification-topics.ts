import { useEffect, useState } from 'react';
import { type StreamClient, type SubscriptionState } from '@sluice/client';
import { useStreamClient } from '@sluice/client/react';
import { store, storedJSON } from '../../lib/stored';

/** The topics of the notifications, unless the reader has chosen others. */
export const defaultTopics: readonly string[] = ['stream:notifications'];

const CHOICE = 'sluice:notification-topics';
const REFUSAL = 'sluice:notification-refusal';
/** Dispatched in this page after a change. Other tabs receive a storage event. */
const CHANGED = 'sluice:notification-topics-changed';
/** How long not to ask again, in milliseconds. */
const PAUSE = 24 * 60 * 60_000;

/** The topics of the notifications on each screen. */
export interface NotificationTopics {
  readonly chosen: readonly string[];
  /** The topics to subscribe to. Empty if the gateway has recently refused them. */
  readonly topics: readonly string[];
}

/** See {@link NotificationTopics}; reads them again when the choice or the token changes. */
export function useNotificationTopics(): NotificationTopics {
  const client = useStreamClient();
  const [topics, setTopics] = useState(() => readChoice(client));

  useEffect(() => {
    const readAgain = () => setTopics(readChoice(client));
    const onStorage = ({ key }: StorageEvent) => {
      if (key === CHOICE) readAgain();
    };
    window.addEventListener(CHANGED, readAgain);
    window.addEventListener('storage', onStorage);
    return () => {
      window.removeEventListener(CHANGED, readAgain);
      window.removeEventListener('storage', onStorage);
    };
  }, [client]);

  return topics;
}

/** Makes all parts of this page read the choice again, for example after a new token. */
export function readChoiceAgain() {
  window.dispatchEvent(new Event(CHANGED));
}

/** Chooses the topics of the notifications for all tabs, and stores them. */
export function choose(topics: readonly string[]) {
  const text = JSON.stringify(topics);
  if (text === JSON.stringify(chosenTopics())) return;
  store(CHOICE, text === JSON.stringify(defaultTopics) ? undefined : text);
  readChoiceAgain();
}

function chosenTopics(): readonly string[] {
  const chosen = storedJSON(CHOICE);
  const isList = Array.isArray(chosen) && chosen.every((topic) => typeof topic === 'string');
  return isList && chosen.length > 0 ? chosen : defaultTopics;
}

/** Leaves out topics that were refused recently, since each page would cost a refused request. */
function readChoice(client: StreamClient): NotificationTopics {
  const chosen = chosenTopics();
  const refusal = storedJSON(REFUSAL) as Partial<Refusal> | null;
  const isRefused =
    refusal?.key === refusalKey(client, chosen) && Date.now() - (refusal.at ?? 0) < PAUSE;
  return { chosen, topics: isRefused ? [] : chosen };
}

interface Refusal {
  readonly key: string;
  readonly at: number;
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
    const refusal: Refusal = { key: refusalKey(client, topics), at: Date.now() };
    store(REFUSAL, JSON.stringify(refusal));
  } else if (status.phase === 'live') {
    store(REFUSAL, undefined);
  }
}
