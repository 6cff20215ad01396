import {
  AbstractChat,
  type ChatState,
  type ChatStatus,
  type UIMessage,
  type UIMessageChunk,
} from 'ai';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { eventually } from '../../../../test/eventually';
import { FakeEventSource } from '../../../../test/fake-event-source';
import { createStreamClient } from '../client.js';
import { SluiceChatTransport, type SluiceChatTransportOptions } from './transport.js';

const topic = 'stream:run:42';
const source = () => FakeEventSource.current;

/** The state of a chat, without a framework. */
class State implements ChatState<UIMessage> {
  status: ChatStatus = 'ready';
  error: Error | undefined;
  messages: UIMessage[] = [];
  readonly pushMessage = (message: UIMessage) => void this.messages.push(message);
  readonly popMessage = () => void this.messages.pop();
  readonly replaceMessage = (index: number, message: UIMessage) => {
    this.messages[index] = message;
  };
  readonly snapshot = <T>(thing: T) => structuredClone(thing);
}

class Chat extends AbstractChat<UIMessage> {
  constructor(transport: SluiceChatTransport, messages: UIMessage[] = []) {
    super({ id: 'chat', transport, state: Object.assign(new State(), { messages }) });
  }
}

/** The app's endpoint, which starts a run. */
const endpoint = vi.fn<typeof fetch>();

const answer = (body: string, status = 200) =>
  endpoint.mockImplementation(() => Promise.resolve(new Response(body, { status })));

function createTransport(options: Partial<SluiceChatTransportOptions> = {}) {
  const client = createStreamClient('http://gateway', {
    EventSource: FakeEventSource,
    retry: { base: 1, max: 1 },
  });
  return new SluiceChatTransport({ client, fetch: endpoint, ...options });
}

let entries: number;

/** The producer adds a chunk to the run. */
function write(chunk: UIMessageChunk) {
  entries += 1;
  source().message(JSON.stringify(chunk), `${entries}-0`);
}

function writeText(...words: string[]) {
  write({ type: 'start', messageId: 'answer' });
  write({ type: 'text-start', id: 't' });
  for (const delta of words) write({ type: 'text-delta', id: 't', delta });
}

const end = (data = '{}') => source().end(data, `${entries + 1}-0.end`);

const requested = (count = 1) =>
  eventually(() => expect(FakeEventSource.opened).toHaveLength(count));

async function open(missing: string[] = []) {
  await requested();
  source().open({ topics: [topic], missing, id: '0' });
}

const textOf = ({ lastMessage }: Chat) =>
  lastMessage?.parts.map((part) => (part.type === 'text' ? part.text : '')).join('');

function fakeStorage() {
  const storage: Record<string, unknown> = {};
  const define = (name: string, value: unknown) =>
    Object.defineProperty(storage, name, { value, enumerable: false });
  define('getItem', (key: string) => storage[key] ?? null);
  define('setItem', (key: string, value: string) => void (storage[key] = value));
  define('removeItem', (key: string) => Reflect.deleteProperty(storage, key));
  return storage;
}

beforeEach(() => {
  FakeEventSource.opened = [];
  entries = 0;
  answer(JSON.stringify({ topic }));
  vi.stubGlobal('sessionStorage', fakeStorage());
});

afterEach(() => {
  vi.unstubAllGlobals();
  endpoint.mockReset();
});

describe('SluiceChatTransport', () => {
  it('sends the messages to the endpoint, and reads the run that it starts', async () => {
    const chat = new Chat(
      createTransport({ api: '/chat', headers: { 'X-App': '1' }, body: { model: 'm' } }),
    );
    const sent = chat.sendMessage({ text: 'Hello?' }, { headers: { 'X-Chat': '2' } });
    await open();
    expect(source().url).toBe('http://gateway/events?stream=run:42&from=start');
    writeText('Good ', 'morning');
    await eventually(() => expect(textOf(chat)).toBe('Good morning'));
    expect(chat.status).toBe('streaming');
    write({ type: 'text-end', id: 't' });
    write({ type: 'finish' });
    end();
    await sent;
    expect(chat.status).toBe('ready');
    expect(chat.messages.map(({ role }) => role)).toEqual(['user', 'assistant']);
    expect(source().readyState).toBe(2);

    const [url, init] = endpoint.mock.calls[0] ?? [];
    expect([url, init?.method]).toEqual(['/chat', 'POST']);
    expect(Object.fromEntries(new Headers(init?.headers))).toEqual({
      'content-type': 'application/json',
      'x-app': '1',
      'x-chat': '2',
    });
    expect(JSON.parse(init?.body as string)).toMatchObject({
      ...{ id: 'chat', model: 'm', trigger: 'submit-message' },
      messages: [{ role: 'user', parts: [{ type: 'text', text: 'Hello?' }] }],
    });
  });

  it('passes tool calls on', async () => {
    const chat = new Chat(createTransport());
    const sent = chat.sendMessage({ text: 'Weather?' });
    await open();
    const call = { toolCallId: '1', toolName: 'weather' };
    write({ type: 'start' });
    write({ type: 'tool-input-start', ...call });
    write({ type: 'tool-input-delta', toolCallId: '1', inputTextDelta: '{"city":' });
    write({ type: 'tool-input-available', ...call, input: { city: 'Bern' } });
    write({ type: 'tool-output-available', toolCallId: '1', output: { degrees: 7 } });
    end();
    await sent;
    expect(chat.lastMessage?.parts).toMatchObject([
      {
        type: 'tool-weather',
        state: 'output-available',
        input: { city: 'Bern' },
        output: { degrees: 7 },
      },
    ]);
  });

  it('keeps the text of a run that fails, with the error of its end', async () => {
    const chat = new Chat(createTransport());
    const sent = chat.sendMessage({ text: 'Hello?' });
    await open();
    writeText('Good ');
    await eventually(() => expect(textOf(chat)).toBe('Good '));
    end('{"error":"The model is overloaded."}');
    await sent;
    expect([chat.status, chat.error?.message]).toEqual(['error', 'The model is overloaded.']);
    expect(textOf(chat)).toBe('Good ');
  });

  it.each([
    ['no answer of the endpoint', 'Too many prompts.', 429, 'Too many prompts.'],
    ['an answer without a topic', '{"id":7}', 200, 'names no topic'],
    ['an answer with another kind of topic', '{"topic":"channel:a"}', 200, 'names no topic'],
  ])('reports %s', async (_, body, status, message) => {
    answer(body, status);
    const chat = new Chat(createTransport());
    await chat.sendMessage({ text: 'Hello?' });
    expect(chat.error?.message).toContain(message);
    expect(FakeEventSource.opened).toHaveLength(0);
  });

  it('reports an entry that is not a chunk, and stops reading', async () => {
    const chat = new Chat(createTransport());
    const sent = chat.sendMessage({ text: 'Hello?' });
    await open();
    source().message('plain text', '1-0');
    await sent;
    expect(chat.error?.message).toContain('plain text');
    await eventually(() => expect(source().readyState).toBe(2));
  });

  it('reports a lost run', async () => {
    const chat = new Chat(createTransport());
    const sent = chat.sendMessage({ text: 'Hello?' });
    await open();
    writeText('Good ');
    source().emit('stream.gap', JSON.stringify({ topic, reason: 'history-expired' }), '9-0');
    await sent;
    expect(chat.error?.name).toBe('RunLostError');
  });

  it('stops reading when the user stops the answer, which is then not resumed', async () => {
    const transport = createTransport();
    const chat = new Chat(transport);
    const sent = chat.sendMessage({ text: 'Hello?' });
    await open();
    writeText('Good ');
    await eventually(() => expect(textOf(chat)).toBe('Good '));
    await chat.stop();
    await sent;
    expect([chat.status, chat.error]).toEqual(['ready', undefined]);
    await eventually(() => expect(source().readyState).toBe(2));
    expect(await transport.reconnectToStream({ chatId: 'chat' })).toBeNull();
  });

  it('resumes after a reload, and shows each word once', async () => {
    const before = new Chat(createTransport());
    void before.sendMessage({ text: 'Hello?' });
    await open();
    writeText('Good ');
    await eventually(() => expect(textOf(before)).toBe('Good '));

    FakeEventSource.opened = [];
    entries = 0;
    const transport = createTransport();
    expect(transport.resumeStreamIsReplay).toBe(true);
    const chat = new Chat(transport, structuredClone(before.messages));
    const resumed = chat.resumeStream();
    await open();
    expect(source().url).toContain('from=start');
    writeText('Good ', 'morning');
    end();
    await resumed;
    expect(textOf(chat)).toBe('Good morning');
    expect(chat.messages).toHaveLength(2);
    expect(endpoint).toHaveBeenCalledOnce();
    expect(await createTransport().reconnectToStream({ chatId: 'chat' })).toBeNull();
  });

  it('waits for a run that has not begun before the reload', async () => {
    const before = new Chat(createTransport());
    void before.sendMessage({ text: 'Hello?' });
    await open([topic]);
    // The chat shows that it waits, so the stream is there before the first chunk.
    const stream = await createTransport().reconnectToStream({ chatId: 'chat' });
    await stream?.cancel();
    FakeEventSource.opened = [];
    const chat = new Chat(createTransport(), before.messages.slice(0, 1));
    const resumed = chat.resumeStream();
    await open([topic]);
    writeText('Good morning');
    end();
    await resumed;
    expect(textOf(chat)).toBe('Good morning');
  });

  it('resumes the newest run of a chat after the end of an older one', async () => {
    const transport = createTransport();
    const send = (abortSignal?: AbortSignal) =>
      transport.sendMessages({
        ...{ chatId: 'chat', messageId: undefined, trigger: 'submit-message', messages: [] },
        abortSignal,
      });
    const stop = new AbortController();
    const older = await send(stop.signal);
    answer('{"topic":"stream:run:43"}');
    const newer = await send();
    stop.abort();
    await expect(older.getReader().read()).rejects.toThrow();
    expect(JSON.stringify(sessionStorage)).toContain('stream:run:43');
    await newer.cancel();
  });

  it('has nothing to resume if the stream has expired', async () => {
    void new Chat(createTransport()).sendMessage({ text: 'Hello?' });
    await open();
    writeText('Good ');
    await eventually(() => expect(JSON.stringify(sessionStorage)).toContain('"hasBegun\\":true'));
    FakeEventSource.opened = [];
    const transport = createTransport();
    const stream = transport.reconnectToStream({ chatId: 'chat' });
    await open([topic]);
    expect(await stream).toBeNull();
    expect(await transport.reconnectToStream({ chatId: 'chat' })).toBeNull();
  });

  it('resumes the run that the app finds', async () => {
    const findTopic = vi.fn(() => Promise.resolve(topic));
    const chat = new Chat(createTransport({ findTopic }));
    const resumed = chat.resumeStream();
    await open();
    writeText('From another device');
    end();
    await resumed;
    expect(findTopic).toHaveBeenCalledWith('chat');
    expect(textOf(chat)).toBe('From another device');
  });
});
