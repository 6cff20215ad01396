import type { ChatTransport, UIMessage, UIMessageChunk } from 'ai';
import type { StreamClient } from '../client.js';
import { readObject } from '../connection/protocol.js';
import { type RunIterator, RunLostError } from '../run.js';
import { type Memory, sessionMemory } from '../views/memory.js';

/** See {@link SluiceChatTransport}. */
export interface SluiceChatTransportOptions {
  /** The client that reads the runs. */
  readonly client: Pick<StreamClient, 'run' | 'url'>;
  /** The app's endpoint, to which the messages are sent. Default `/api/chat`. */
  readonly api?: string | undefined;
  /** Headers of each request to the endpoint. */
  readonly headers?: HeadersInit | undefined;
  /** Fields that are added to the body of each request to the endpoint. */
  readonly body?: object | undefined;
  /** Whether requests to the endpoint carry cookies. Default: those to the page's own origin do. */
  readonly credentials?: RequestCredentials | undefined;
  /** Replaces the global `fetch`. */
  readonly fetch?: typeof globalThis.fetch | undefined;
  /**
   * Returns the topic of the chat's unfinished run, for pages that have not started it: another tab or device.
   * Default: only the tab that has sent the prompt resumes, also after a reload.
   */
  readonly findTopic?:
    ((chatId: string) => string | undefined | Promise<string | undefined>) | undefined;
}

type SendOptions = Parameters<ChatTransport<UIMessage>['sendMessages']>[0];
type ReconnectOptions = Parameters<ChatTransport<UIMessage>['reconnectToStream']>[0];

/** The unfinished run of a chat. */
interface Kept {
  readonly topic: string;
  /** Whether an entry has arrived, so the stream exists. */
  readonly hasBegun: boolean;
  /** When that became known, in milliseconds since the epoch. */
  readonly at: number;
}

/** A run that has no entry after this time, in milliseconds, will have none. */
const MAX_WAIT = 10 * 60_000;

/**
 * A transport for `useChat` of the AI SDK. It sends the messages to an endpoint of the app, which starts a run and answers
 * `{"topic":"stream:run:42"}`, and reads the run from the gateway. The data of each entry is one UI message chunk as
 * JSON. A run that failed ends with a chunk of type `error`; a lost run makes the stream fail with
 * {@link RunLostError}. An abort stops reading, and does not stop the producer.
 */
export class SluiceChatTransport<
  Message extends UIMessage = UIMessage,
> implements ChatTransport<Message> {
  /** A resumed run is read from its first chunk, so the AI SDK resets the message. */
  readonly resumeStreamIsReplay = true;
  readonly #options: SluiceChatTransportOptions;
  readonly #memory: Memory;

  constructor(options: SluiceChatTransportOptions) {
    this.#options = options;
    this.#memory = sessionMemory(`chat ${options.client.url}`);
  }

  /** Sends the messages to the endpoint, and returns the chunks of the run that it starts. */
  async sendMessages({
    chatId,
    messageId,
    trigger,
    messages,
    abortSignal,
    headers,
    body,
  }: Omit<SendOptions, 'messages'> & { messages: Message[] }): Promise<
    ReadableStream<UIMessageChunk>
  > {
    this.#memory.take(chatId);
    const topic = await this.#start(
      { ...this.#options.body, ...body, id: chatId, messages, trigger, messageId },
      headers,
      abortSignal,
    );
    this.#keep(chatId, topic, false);
    return this.#read(chatId, topic, false, abortSignal);
  }

  /** Returns the chunks of the chat's unfinished run from its first one, or `null` without such a run. */
  async reconnectToStream({
    chatId,
    abortSignal,
  }: ReconnectOptions): Promise<ReadableStream<UIMessageChunk> | null> {
    const kept = this.#memory.take(chatId) as Kept | undefined;
    const topic = kept?.topic ?? (await this.#options.findTopic?.(chatId));
    if (topic === undefined) return null;
    const mustExist = !kept || kept.hasBegun || Date.now() - kept.at > MAX_WAIT;
    this.#keep(chatId, topic, mustExist);
    const stream = this.#read(chatId, topic, mustExist, abortSignal);
    if (!mustExist) return stream;
    // The stream may have expired.
    const reader = stream.getReader();
    try {
      const first = await reader.read();
      return first.done ? null : prepend(first.value, reader);
    } catch (error) {
      if (error instanceof RunLostError) return null;
      throw error;
    }
  }

  async #start(
    body: object,
    headers: HeadersInit | undefined,
    signal: AbortSignal | undefined,
  ): Promise<string> {
    const { api = '/api/chat', fetch = globalThis.fetch, credentials } = this.#options;
    const all = new Headers(this.#options.headers);
    all.set('Content-Type', 'application/json');
    new Headers(headers).forEach((value, name) => all.set(name, value));
    const response = await fetch(api, {
      ...{ method: 'POST', headers: all, body: JSON.stringify(body), signal: signal ?? null },
      ...(credentials && { credentials }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(text || `${api}: HTTP status ${response.status}`);
    const topic = topicIn(text);
    if (topic === undefined) throw new Error(`${api}: the answer names no topic of a stream`);
    return topic;
  }

  #read(
    chatId: string,
    topic: string,
    mustExist: boolean,
    signal: AbortSignal | undefined,
  ): ReadableStream<UIMessageChunk> {
    const left = new AbortController();
    const signals = signal ? [signal, left.signal] : [left.signal];
    const run: RunIterator = this.#options.client.run(topic, {
      mustExist,
      signal: AbortSignal.any(signals),
    });
    let isKept = mustExist;
    return new ReadableStream({
      pull: async (controller) => {
        try {
          const { done, value } = await run.next();
          if (!done) {
            controller.enqueue(parseChunk(value.data));
            if (!isKept) this.#update(chatId, topic, { topic, hasBegun: true, at: Date.now() });
            isKept = true;
            return;
          }
          const { status, error: errorText = 'The run failed.' } = value;
          if (status === 'failed') controller.enqueue({ type: 'error', errorText });
          controller.close();
        } catch (error) {
          if (left.signal.aborted && !signal?.aborted) return;
          left.abort();
          controller.error(error);
        }
        this.#update(chatId, topic, undefined);
      },
      // Without an abort by the user, the chat can resume the run later.
      cancel: () => left.abort(),
    });
  }

  #keep(chatId: string, topic: string, hasBegun: boolean) {
    const kept: Kept = { topic, hasBegun, at: Date.now() };
    this.#memory.keep(chatId, kept);
  }

  /** Replaces or removes the record of a run, unless the chat has a newer run. */
  #update(chatId: string, topic: string, next: Kept | undefined) {
    const kept = this.#memory.take(chatId) as Kept | undefined;
    const record = kept?.topic === topic ? next : kept;
    if (record) this.#memory.keep(chatId, record);
  }
}

function topicIn(text: string): string | undefined {
  const { topic } = readObject(text);
  return typeof topic === 'string' && topic.startsWith('stream:') ? topic : undefined;
}

function parseChunk(data: string): UIMessageChunk {
  const chunk = readObject(data);
  if (typeof chunk.type !== 'string') throw new Error(`not a UI message chunk: ${data}`);
  return chunk as UIMessageChunk;
}

/** A stream of a value, then of what is left in a reader. */
function prepend<T>(value: T, reader: ReadableStreamDefaultReader<T>): ReadableStream<T> {
  return new ReadableStream({
    start: (controller) => controller.enqueue(value),
    pull: async (controller) => {
      const next = await reader.read();
      if (next.done) controller.close();
      else controller.enqueue(next.value);
    },
    cancel: () => reader.cancel(),
  });
}
