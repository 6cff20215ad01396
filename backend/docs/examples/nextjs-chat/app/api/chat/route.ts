import { convertToModelMessages, generateId, streamText, type UIMessage } from 'ai';
import { Redis } from 'ioredis';
import { after } from 'next/server';
import { model } from './model';

/** Seconds; longer than a user may need to reload the page. */
const TTL = 3600;

// The build loads this file, so it must not connect.
const redis = new Redis(process.env.REDIS_URL ?? 'redis://127.0.0.1:6379', { lazyConnect: true });

export async function POST(request: Request) {
  const { messages } = (await request.json()) as { messages: UIMessage[] };
  const run = `run:${crypto.randomUUID()}`;
  after(() => answer(run, messages));
  return Response.json({ topic: `stream:${run}` });
}

/** Writes the answer of the model to the run. It does not depend on the request or the page. */
async function answer(run: string, messages: UIMessage[]) {
  let end = {};
  try {
    const result = streamText({ model, messages: await convertToModelMessages(messages) });
    // With a `messageId`, a resumed answer replaces the one that the page has.
    for await (const chunk of result.toUIMessageStream({ generateMessageId: generateId })) {
      await add(run, 'data', JSON.stringify(chunk));
    }
  } catch (error) {
    end = { error: String(error) };
  }
  await add(run, 'event', 'stream.end', 'data', JSON.stringify(end));
}

/** Adds an entry and renews the expiry in one transaction. */
async function add(run: string, ...fields: string[]) {
  await redis
    .multi()
    .xadd(run, '*', ...fields)
    .expire(run, TTL)
    .exec();
}
