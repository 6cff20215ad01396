import type { RunStatus } from '@sluice/client';
import type { Run } from '@sluice/client/react';
import { Button } from '../../ui/Button';
import { Panel } from '../../ui/Panel';
import { count } from '../../lib/text';

const looks: Readonly<Record<RunStatus, { name: string; sign: string; className: string }>> = {
  waiting: { name: 'Waiting for the first word', sign: '…', className: 'text-muted' },
  running: { name: 'Running', sign: '▸', className: 'text-accent' },
  done: { name: 'Complete', sign: '✓', className: 'text-live' },
  failed: { name: 'Failed', sign: '‼', className: 'text-danger' },
  missing: { name: 'Gone', sign: '!', className: 'text-warning' },
};

export function Answer({ topic, run }: { topic: string; run: Run<string> }) {
  const { status, value, error, chunks, restart } = run;
  const { name, sign, className } = looks[status];
  return (
    <Panel>
      <article aria-label={topic}>
        <header className="flex flex-wrap items-center justify-between gap-x-4 gap-y-1 border-b border-line px-4 py-2.5 text-sm sm:px-6">
          <h2 className="min-w-0 font-mono text-[0.8125rem] wrap-anywhere">{topic}</h2>
          <p className={`flex items-center gap-1.5 font-medium ${className}`}>
            <span aria-hidden="true" className="font-bold">
              {sign}
            </span>
            <span role="status">{name}</span>
          </p>
        </header>
        <div className="min-h-40 px-4 py-4 sm:px-6 sm:py-5 short:min-h-24">
          <p className="max-w-prose text-base/7 whitespace-pre-wrap wrap-anywhere sm:text-lg/8">
            {value}
            {status === 'running' && (
              <span
                aria-hidden="true"
                className="ms-0.5 inline-block h-[1.1em] w-[0.5em] rounded-xs bg-accent align-text-bottom motion-safe:animate-breathe"
              />
            )}
          </p>
        </div>
        <footer className="flex min-h-11 flex-wrap items-center justify-between gap-x-4 gap-y-2 border-t border-line px-4 py-2 text-sm text-muted sm:px-6">
          <span className="wrap-anywhere">
            <span className="tabular-nums">
              {chunks.length === 1 ? '1 entry' : `${count(chunks.length)} entries`}
            </span>
            {error !== undefined && ` · ${error}`}
          </span>
          {status === 'missing' && (
            <Button primary onClick={restart}>
              Read it again
            </Button>
          )}
        </footer>
      </article>
    </Panel>
  );
}
