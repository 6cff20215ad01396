import { simulateReadableStream } from 'ai';
import { MockLanguageModelV3 } from 'ai/test';

const words = ['A ', 'reload ', 'in ', 'the ', 'middle ', 'continues ', 'this ', 'answer.'];
const usage = {
  inputTokens: { total: 1, noCache: 1, cacheRead: 0, cacheWrite: 0 },
  outputTokens: { total: 8, text: 8, reasoning: 0 },
};

/** Replace it by a real model, such as `openai('gpt-5')` of `@ai-sdk/openai`. */
export const model = new MockLanguageModelV3({
  doStream: async () => ({
    stream: simulateReadableStream({
      chunkDelayInMs: Number(process.env.CHUNK_DELAY ?? 100),
      chunks: [
        { type: 'text-start', id: '1' },
        ...words.map((delta) => ({ type: 'text-delta', id: '1', delta }) as const),
        { type: 'text-end', id: '1' },
        { type: 'finish', usage, finishReason: { unified: 'stop', raw: 'stop' } },
      ],
    }),
  }),
});
