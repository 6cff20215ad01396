import { causeText } from '../components/text';
import type { Cause } from '../stream/line/status';
import { useStreamClient } from '../stream/react/use-client';
import { useStreamStatus } from '../stream/react/use-stream-status';

/** Says why there is no connection, and offers to try at once. Stays until it is live again. */
export function ConnectionNotice() {
  const { status } = useStreamStatus();
  const client = useStreamClient();
  const cause = 'cause' in status ? status.cause : undefined;
  if (!cause) return null;
  return (
    <div className="flex flex-wrap items-center justify-between gap-x-4 gap-y-2 border-b border-warning-line/50 bg-warning-soft px-4 py-2.5 text-sm text-warning sm:px-6">
      <p className="min-w-0 flex-1 basis-60 wrap-anywhere">
        {causeText(cause, client.url)} <Advice cause={cause} server={client.url} />
      </p>
      <button
        type="button"
        className="button text-ink"
        aria-disabled={status.phase !== 'waiting'}
        onClick={client.retryNow}
      >
        Retry now
      </button>
    </div>
  );
}

function Advice({ cause, server }: { cause: Cause; server: string }) {
  if (cause.kind !== 'unreachable' || !isLocal(server)) return null;
  return (
    <>
      Is it running? Start it with <code className="font-mono font-semibold">make run</code>.
    </>
  );
}

function isLocal(server: string): boolean {
  return ['localhost', '127.0.0.1', '[::1]'].includes(new URL(server).hostname);
}
