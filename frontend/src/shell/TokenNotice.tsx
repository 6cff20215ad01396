import { useStreamClient, useStreamStatus } from '@sluice/client/react';
import { Button } from '../ui/Button';
import { useOpenDialog } from '../ui/dialog-context';
import { changeToken, token } from './token';

/** Says that the server does not accept the saved token, and offers to remove it. */
export function TokenNotice() {
  const { tokenRefusal } = useStreamStatus();
  const client = useStreamClient();
  const open = useOpenDialog();
  if (!tokenRefusal || token() === undefined) return null;
  return (
    <div
      role="status"
      className="flex flex-wrap items-center justify-between gap-x-4 gap-y-2 border-b border-warning-line/50 bg-warning-soft px-4 py-2.5 text-sm text-warning sm:px-6"
    >
      <p className="min-w-0 flex-1 basis-60 wrap-anywhere">
        The server does not accept the saved access token
        {tokenRefusal.detail && `: ${tokenRefusal.detail.replace(/\.$/, '')}`}. Only public topics
        are followed.
      </p>
      <div className="flex flex-wrap gap-2">
        <Button className="text-ink" onClick={() => open('token')}>
          Enter another token
        </Button>
        <Button className="text-ink" onClick={() => changeToken(client, '')}>
          Remove the token
        </Button>
      </div>
    </div>
  );
}
