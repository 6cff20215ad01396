'use client';

import { useChat } from '@ai-sdk/react';
import { createStreamClient } from '@sluice/client';
import { SluiceChatTransport } from '@sluice/client/ai-sdk';

const client = createStreamClient(process.env.NEXT_PUBLIC_SLUICE_URL ?? 'http://localhost:4000');
const transport = new SluiceChatTransport({ client });

/** An app that stores the messages passes them to `useChat`. This page shows only the newest answer after a reload. */
export default function Page() {
  const { messages, sendMessage, status, error } = useChat({ id: 'chat', transport, resume: true });
  const isBusy = status === 'submitted' || status === 'streaming';
  return (
    <main>
      <ol aria-busy={isBusy}>
        {messages.map(({ id, role, parts }) => (
          <li key={id} data-role={role}>
            {parts.map((part) => (part.type === 'text' ? part.text : ''))}
          </li>
        ))}
      </ol>
      {error && <p role="alert">{error.message}</p>}
      <form action={(form) => void sendMessage({ text: String(form.get('prompt')) })}>
        <input name="prompt" aria-label="Prompt" required />
        <button disabled={isBusy}>Send</button>
      </form>
    </main>
  );
}
