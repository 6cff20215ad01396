import type { Cause, Status } from '../stream/status';
import { causeText } from './text';

interface Props {
  status: Status;
  /** The gateway's URL, for people. */
  server: string;
  onRetry: () => void;
}

/** Says why there is no connection, and offers to try at once. Stays until the stream is live again. */
export function ConnectionNotice({ status, server, onRetry }: Props) {
  const cause = 'cause' in status ? status.cause : undefined;
  if (!cause) return null;
  return (
    <div className="flex flex-wrap items-center justify-between gap-x-4 gap-y-2 border-b border-warning-line/50 bg-warning-soft px-4 py-2.5 text-sm text-warning sm:px-5">
      <p className="min-w-0 flex-1 basis-60 wrap-anywhere">
        {causeText(cause, server)} <Advice cause={cause} server={server} />
      </p>
      <button
        type="button"
        className="button text-ink"
        aria-disabled={status.phase !== 'waiting'}
        onClick={onRetry}
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
