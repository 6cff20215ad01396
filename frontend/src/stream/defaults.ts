import { createConnection } from './line/connection';
import type { LineOptions } from './line/line';
import { connecting, type Status } from './line/status';

/** The topics that the gateway gives to who names none; see {@link createDefaults}. */
export interface Defaults {
  /** Tells of the way to the answer, and then the answer, perhaps at once; returns the function that gives up. */
  readonly ask: (
    onStatus: (status: Status) => void,
    onTopics: (topics: readonly string[]) => void,
  ) => () => void;
  /** The way to an answer that somebody waits for; `undefined` where nobody does. */
  readonly status: () => Status | undefined;
  readonly retryNow: () => void;
}

interface Question {
  readonly onStatus: (status: Status) => void;
  readonly onTopics: (topics: readonly string[]) => void;
}

/**
 * Learns the gateway's default topics: opens the subscription that names none, and closes it as soon as the
 * gateway says which they are. From there on they are topics like any others, on the connection of all.
 *
 * @param onChange - what {@link Defaults.status} returns has changed
 */
export function createDefaults(
  eventsURL: string,
  { token, ...options }: LineOptions,
  onChange: () => void,
): Defaults {
  const questions = new Set<Question>();
  let status = connecting;
  let answer: readonly string[] | undefined;

  function url() {
    const secret = token?.();
    if (!secret) return eventsURL;
    return `${eventsURL}?${new URLSearchParams({ access_token: secret }).toString()}`;
  }

  const connection = createConnection(
    { url },
    {
      onStatus: (next) => {
        status = next;
        if (next.phase === 'connecting' || next.phase === 'waiting') {
          questions.forEach(({ onStatus }) => onStatus(next));
        }
        onChange();
      },
      onFrame: (frame) => {
        if (frame.kind !== 'open') return;
        connection.stop();
        answer = frame.topics;
        questions.forEach(({ onTopics }) => onTopics(frame.topics));
        questions.clear();
        onChange();
      },
    },
    options,
  );

  function ask(onStatus: Question['onStatus'], onTopics: Question['onTopics']) {
    if (answer) {
      onTopics(answer);
      return () => undefined;
    }
    const question = { onStatus, onTopics };
    questions.add(question);
    connection.start();
    onStatus(status);
    onChange();
    return () => {
      questions.delete(question);
      onChange();
      if (questions.size === 0) connection.stop();
    };
  }

  return {
    ask,
    status: () => (questions.size > 0 ? status : undefined),
    retryNow: connection.retryNow,
  };
}
