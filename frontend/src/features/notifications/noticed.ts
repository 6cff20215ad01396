import { useEffect, useState } from 'react';
import { type StreamClient, type SubscriptionState } from '@sluice/client';
import { useStreamClient } from '@sluice/client/react';

/** What every screen tells of, unless the reader has chosen something else. */
export const defaultTopics: readonly string[] = ['stream:notifications'];

const CHOICE = 'sluice:noticed';
const REFUSAL = 'sluice:unnoticed';
/** Tells the parts of this page; the other tabs hear of the storage. */
const CHANGED = 'sluice:noticed-changed';
/** How long not to ask again, in milliseconds. */
const PAUSE = 24 * 60 * 60_000;

/** What the reader has chosen to be told of on every screen, and what of it can be asked for. */
export interface Noticed {
  readonly chosen: readonly string[];
  /** Nothing where the gateway has lately said that this reader may not know. */
  readonly topics: readonly string[];
}

/** See {@link Noticed}; looks again when the choice or the token changes. */
export function useNoticed(): Noticed {
  const client = useStreamClient();
  const [noticed, setNoticed] = useState(() => look(client));

  useEffect(() => {
    const lookAgain = () => setNoticed(look(client));
    const onStorage = ({ key }: StorageEvent) => {
      if (key === CHOICE) lookAgain();
    };
    window.addEventListener(CHANGED, lookAgain);
    window.addEventListener('storage', onStorage);
    return () => {
      window.removeEventListener(CHANGED, lookAgain);
      window.removeEventListener('storage', onStorage);
    };
  }, [client]);

  return noticed;
}

/** Asks for what is to be told of once more, as after a new token. */
export function lookAgain() {
  window.dispatchEvent(new Event(CHANGED));
}

/** Chooses what every screen tells of, in all tabs and for next time. */
export function choose(topics: readonly string[]) {
  const text = JSON.stringify(topics);
  if (text === JSON.stringify(chosenTopics())) return;
  try {
    if (text === JSON.stringify(defaultTopics)) localStorage.removeItem(CHOICE);
    else localStorage.setItem(CHOICE, text);
  } catch {
    // Then it is chosen on its screen only.
  }
  lookAgain();
}

function chosenTopics(): readonly string[] {
  try {
    const stored = JSON.parse(localStorage.getItem(CHOICE) ?? 'null') as unknown;
    const isList = Array.isArray(stored) && stored.every((topic) => typeof topic === 'string');
    return isList && stored.length > 0 ? stored : defaultTopics;
  } catch {
    return defaultTopics;
  }
}

/**
 * Asking each time for what is refused would cost each page a refused request, and the screen for it asks
 * anyway.
 */
function look(client: StreamClient): Noticed {
  const chosen = chosenTopics();
  try {
    const refusal = JSON.parse(localStorage.getItem(REFUSAL) ?? 'null') as Refusal | null;
    const isRefused = refusal?.what === question(client, chosen) && Date.now() - refusal.at < PAUSE;
    return { chosen, topics: isRefused ? [] : chosen };
  } catch {
    return { chosen, topics: chosen };
  }
}

interface Refusal {
  readonly what: string;
  readonly at: number;
}

/** Identifies the token and the topics without containing the token: their FNV-1a hash. */
function question(client: StreamClient, topics: readonly string[]): string {
  const bytes = new TextEncoder().encode(JSON.stringify([client.authorization(), topics]));
  const hash = bytes.reduce((sum, byte) => Math.imul(sum ^ byte, 0x01000193), 0x811c9dc5);
  return (hash >>> 0).toString(36);
}

/** Remembers whether the chosen topics are open to this reader. */
export function rememberRefusal(client: StreamClient, state: SubscriptionState) {
  const { status, topics, refused } = state;
  if (topics.length === 0 || JSON.stringify(topics) !== JSON.stringify(chosenTopics())) return;
  try {
    if (refused.size === topics.length) {
      const refusal: Refusal = { what: question(client, topics), at: Date.now() };
      localStorage.setItem(REFUSAL, JSON.stringify(refusal));
    } else if (status.phase === 'live') {
      localStorage.removeItem(REFUSAL);
    }
  } catch {
    // Then it is asked again with the next page.
  }
}
