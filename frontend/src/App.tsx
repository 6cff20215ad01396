import { Logo } from './components/Logo';
import { SSEStream } from './components/SSEStream';

/** The page around the screens. */
export function App({ eventsURL }: { eventsURL: string }) {
  return (
    <div className="mx-auto flex h-dvh min-h-128 max-w-5xl flex-col px-4 sm:px-8">
      <header className="flex items-center gap-3 py-4 sm:gap-4 sm:py-6">
        <Logo className="size-9 shrink-0 sm:size-11" />
        <div className="min-w-0">
          <h1 className="text-lg/6 font-semibold tracking-tight text-balance sm:text-2xl/8">
            🚀 Real-Time Data Stream (SSE + React)
          </h1>
          <p className="text-sm text-muted max-sm:hidden">
            What is published in Redis shows up here the moment it happens.
          </p>
        </div>
      </header>
      <main className="flex min-h-0 flex-1 flex-col">
        <SSEStream url={eventsURL} />
      </main>
      <footer className="py-3 text-xs text-muted sm:py-4">
        Follow your own topics by changing the address:{' '}
        <code className="inline-block font-mono text-ink">
          ?channel=orders&amp;channel=prices.*
        </code>
      </footer>
    </div>
  );
}
