import type { StreamClient } from './client.js';
import type { Refusal } from './connection/diagnose.js';
import { isEnd, readObject } from './connection/protocol.js';
import type { Entry } from './entry.js';
import type { Observer, SubscriptionState } from './subscription.js';

/** One entry of a run. */
export interface RunChunk {
  /** The event's id, unique within the run. */
  readonly id: string;
  /** `message`, or the type that the producer gave. */
  readonly type: string;
  readonly data: string;
}

/**
 * `waiting`: no entry yet; `running`; `done` and `failed`: the run has ended, `failed` if the data of its end is
 * a JSON object with `error`; `missing`: the stream no longer exists, or a part of it was lost.
 */
export type RunStatus = 'waiting' | 'running' | 'done' | 'failed' | 'missing';

/** The state of a run, apart from its chunks. */
export interface RunState {
  readonly status: RunStatus;
  /** The data of the end, once it has arrived. */
  readonly end: string | undefined;
  /** Why the run failed, is missing, or cannot be followed. */
  readonly error: string | undefined;
}

/** The options of a run. */
export interface RunOptions {
  /** Types of entries besides those without a type: an `EventSource` receives only those that it knows. */
  readonly events?: readonly string[] | undefined;
  /** Whether the run is known to have begun. If its stream does not exist, it is then missing rather than waiting. */
  readonly mustExist?: boolean | undefined;
}

/** See {@link StreamClient.run}. */
export interface RunIteratorOptions extends RunOptions {
  /** Ends the iteration, which then throws the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/** The chunks of a run. The return value is the state after the end. */
export interface RunIterator extends AsyncGenerator<RunChunk, RunState, undefined> {
  /** The state of the run so far. */
  readonly state: RunState;
}

/** RunLostError is thrown when a run, or a part of it, no longer exists. */
export class RunLostError extends Error {
  override readonly name = 'RunLostError';
}

/** The state before the first entry. */
export const waitingRun: RunState = { status: 'waiting', end: undefined, error: undefined };

/** The progress of a run; plain JSON. */
export interface RunRecord {
  hasBegun: boolean;
  isBroken: boolean;
  end: string | undefined;
}

/** Creates the record of a run of which nothing has arrived. */
export const newRecord = (): RunRecord => ({ hasBegun: false, isBroken: false, end: undefined });

/** Adds an entry to the record. Returns the chunk, unless the entry is a gap or the end, or follows one. */
export function addEntry(record: RunRecord, entry: Entry): RunChunk | undefined {
  if (record.isBroken || record.end !== undefined) return undefined;
  if (entry.kind === 'gap') {
    record.isBroken = true;
  } else if (isEnd(entry)) {
    record.end = entry.data;
  } else {
    record.hasBegun = true;
    const { id, type, data } = entry;
    return { id, type, data };
  }
  return undefined;
}

/** The state of a run: from its record, and from the state of the subscription to its topic. */
export function stateOf(
  { hasBegun, isBroken, end }: RunRecord,
  { ended, missing, refused }: Omit<SubscriptionState, 'status' | 'topics'>,
  topic: string,
  mustExist = false,
): RunState {
  const lost = (error: string): RunState => ({ status: 'missing', end: undefined, error });
  if (isBroken) return lost('A part of the run is lost.');
  if (end !== undefined) {
    const error = errorIn(end);
    return { status: error === undefined ? 'done' : 'failed', end, error };
  }
  if (ended.has(topic)) return { status: 'done', end, error: undefined };
  if (missing.has(topic) && (hasBegun || mustExist)) return lost('The run no longer exists.');
  const refusal = refused.get(topic);
  return { status: hasBegun ? 'running' : 'waiting', end, error: refusal && explain(refusal) };
}

function errorIn(data: string): string | undefined {
  const { error } = readObject(data);
  return error === undefined || typeof error === 'string' ? error : JSON.stringify(error);
}

const explain = ({ status, detail = `HTTP status ${status}` }: Refusal) => detail;

/**
 * Iterates over the chunks of a run; see {@link StreamClient.run}.
 *
 * @param renewal - returns the renewal of the token, if there is one: it can change a refusal for want of a valid token
 */
export function iterateRun(
  subscribe: StreamClient['subscribe'],
  topic: string,
  { events, mustExist, signal }: RunIteratorOptions,
  renewal: () => Promise<void> | undefined,
): RunIterator {
  const record = newRecord();
  const chunks: RunChunk[] = [];
  let subscribed: SubscriptionState | undefined;
  let wake: (() => void) | undefined;
  let end: (() => void) | undefined;
  let isLeft = false;

  const observer: Required<Observer> = {
    onEntry: (entry) => {
      const chunk = addEntry(record, entry);
      if (chunk) chunks.push(chunk);
      wake?.();
    },
    onState: (next) => {
      subscribed = next;
      wake?.();
    },
  };

  const read = () => (subscribed ? stateOf(record, subscribed, topic, mustExist) : waitingRun);

  async function* iterate(): AsyncGenerator<RunChunk, RunState, undefined> {
    signal?.throwIfAborted();
    end = subscribe([topic], { from: 'start', events }, observer);
    signal?.addEventListener('abort', stop);
    try {
      while (!isLeft) {
        signal?.throwIfAborted();
        const chunk = chunks.shift();
        const state = read();
        const refusal = subscribed?.refused.get(topic);
        const renewing = refusal?.status === 401 ? renewal() : undefined;
        if (chunk) yield chunk;
        else if (state.status === 'done' || state.status === 'failed') return state;
        else if (state.status === 'missing') throw new RunLostError(state.error);
        else if (refusal && !renewing) throw new Error(state.error);
        else {
          await new Promise<void>((resolve) => {
            wake = resolve;
            void renewing?.then(resolve);
          });
        }
      }
      return read();
    } finally {
      signal?.removeEventListener('abort', stop);
      end();
    }
  }

  function stop() {
    end?.();
    wake?.();
  }

  const iterator = iterate();
  const leave = iterator.return.bind(iterator);
  return Object.defineProperties(iterator, {
    state: { get: read },
    return: {
      // A generator returns after its pending `next`, which may wait for long.
      value: (state: RunState) => {
        isLeft = true;
        stop();
        return leave(state);
      },
    },
  }) as RunIterator;
}
