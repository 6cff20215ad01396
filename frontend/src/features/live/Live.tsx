import { parseLast } from '../../lib/query-last';
import type { ScreenProps } from '../../ui/screen-props';
import { SSEStream } from './SSEStream';

export default function Live({ topics, query }: ScreenProps) {
  return (
    <div className="mx-auto flex h-full min-h-96 w-full max-w-7xl flex-col px-4 sm:px-6">
      <header className="py-4 sm:py-6">
        <h1 className="text-lg/6 font-semibold tracking-tight text-balance sm:text-2xl/8">
          🚀 Real-Time Data Stream (SSE + React)
        </h1>
        <p className="text-sm text-muted max-sm:hidden">
          Events that are published in Redis appear here at once.
        </p>
      </header>
      <SSEStream
        topics={topics}
        last={parseLast(query, 0)}
        every={query.get('every') ?? ''}
        events={query.getAll('event')}
      />
      <footer className="py-3 text-xs text-muted sm:py-4">
        Follow your own topics by changing the address:{' '}
        <code className="inline-block font-mono text-ink">
          ?channel=orders&amp;channel=prices.*
        </code>
      </footer>
    </div>
  );
}
