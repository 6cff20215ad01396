import { Button } from '../ui/Button';
import { useOpenDialog } from '../ui/dialog-context';
import { causeText } from '../lib/text';
import { type Cause, needsToken } from '@sluice/client';
import { useStreamClient, useStreamStatus } from '@sluice/client/react';

/** Shows the cause of a lost connection and a button to retry, until the connection is live again. */
export function ConnectionNotice() {
  const { status, refused } = useStreamStatus();
  const client = useStreamClient();
  const open = useOpenDialog();
  const cause = 'cause' in status ? status.cause : undefined;
  if (!cause) return null;
  return (
    <div className="flex flex-wrap items-center justify-between gap-x-4 gap-y-2 border-b border-warning-line/50 bg-warning-soft px-4 py-2.5 text-sm text-warning sm:px-6">
      <p className="min-w-0 flex-1 basis-60 wrap-anywhere">
        {causeText(refused.size > 0 ? inShort(cause) : cause, client.url)}{' '}
        <Advice cause={cause} server={client.url} />
      </p>
      <div className="flex flex-wrap gap-2">
        {cause.kind === 'refused' && needsToken(cause.refusal) && (
          <Button className="text-ink" onClick={() => open('token')}>
            Enter a token
          </Button>
        )}
        <Button
          className="text-ink"
          aria-disabled={status.phase !== 'waiting'}
          onClick={client.retryNow}
        >
          Retry now
        </Button>
      </div>
    </div>
  );
}

/** Without what the server says, which stands in the place of each topic that it refuses. */
function inShort(cause: Cause): Cause {
  if (cause.kind !== 'refused' || !cause.refusal) return cause;
  return { kind: 'refused', refusal: { status: cause.refusal.status } };
}

function Advice({ cause, server }: { cause: Cause; server: string }) {
  // Only a developer can start the server.
  if (!import.meta.env.DEV || cause.kind !== 'unreachable' || !isLocal(server)) return null;
  return (
    <>
      Is it running? Start it with <code className="font-mono font-semibold">make run</code>.
    </>
  );
}

function isLocal(server: string): boolean {
  return ['localhost', '127.0.0.1', '[::1]'].includes(new URL(server).hostname);
}
