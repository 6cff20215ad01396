import type { ReactNode } from 'react';
import { needsToken, type Refusal } from '@sluice/client';
import { shellQuote } from '../lib/commands';
import { Button } from './Button';
import { useOpenDialog } from './dialog-context';

export function ScreenState({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <div className="flex min-h-48 flex-1 flex-col items-center justify-center gap-2 rounded-2xl border border-dashed border-line p-6 text-center">
      <h2 className="font-semibold wrap-anywhere">{title}</h2>
      {children && <div className="max-w-prose space-y-2 text-sm text-muted">{children}</div>}
    </div>
  );
}

/** Until the first data, or the screen's code, is here. */
export function Loading({ what = 'data' }: { what?: string }) {
  return (
    <div role="status" className="flex min-h-48 flex-1 items-center justify-center gap-3 p-6">
      <span className="size-2 rounded-full bg-accent motion-safe:animate-breathe" />
      <span className="text-sm text-muted">{`Waiting for ${what}…`}</span>
    </div>
  );
}

/** The default of --allow-subscribe. A value of the flag replaces it. */
const DEFAULT_OPEN = 'channel:updates';

/** Explains why the gateway refuses a topic, and how to allow it. */
export function Refused({ topic, refusal }: { topic: string; refusal: Refusal }) {
  const { status, detail } = refusal;
  const open = useOpenDialog();
  const isPermission = needsToken(refusal);
  return (
    <ScreenState
      title={isPermission ? `You don't have access to ${topic}` : `${topic} cannot be followed`}
    >
      <p className="wrap-anywhere">{`The server answered ${status}${detail ? `: ${detail}` : '.'}`}</p>
      {isPermission && (
        <>
          <Button primary onClick={() => open('token')}>
            Enter a token
          </Button>
          <p>
            Or make the topic public when you start the server:{' '}
            <code className="mt-1 block font-mono text-ink wrap-anywhere">
              {`--allow-subscribe ${shellQuote(`${DEFAULT_OPEN},${topic}`)}`}
            </code>
          </p>
        </>
      )}
    </ScreenState>
  );
}
