import { type Run, useLatest, useRun } from '@sluice/client/react';
import { useState } from 'react';
import { Screen } from '../../components/Screen';
import type { ScreenProps } from '../../components/screen-props';

const latestKey = 'key:run:latest';

/** How many runs the list keeps. */
const KEPT = 8;

const states = {
  waiting: 'Waiting for the first word',
  running: 'Being written',
  done: 'Complete',
  failed: 'Failed',
  missing: 'No longer available',
} as const;

/** Runs are streams that end. The newest one appears word by word, and continues after a reload. */
export default function Runs({ query, setQuery }: ScreenProps) {
  const latest = useLatest<string>(latestKey).get(latestKey);
  const newest = latest?.type === 'message' ? latest.data : undefined;
  const seen = useSeen(newest);
  const chosen = query.get('run') ?? newest;
  const run = useRun(chosen);

  const show = (topic: string) =>
    setQuery(new URLSearchParams(topic === newest ? {} : { run: topic }));
  return (
    <Screen
      title="Runs"
      description="Streams that end, such as the answers of a language model. Reload the page: the text continues."
    >
      {chosen === undefined ? (
        <p className="p-6 text-center text-sm text-muted">
          New runs will appear here. The key <code>run:latest</code> names the newest one.
        </p>
      ) : (
        <Answer topic={chosen} run={run} />
      )}
      {seen.length > 1 && (
        <nav aria-label="Runs" className="mt-4">
          <ul className="flex flex-wrap gap-2">
            {seen.map((topic) => (
              <li key={topic}>
                <button
                  type="button"
                  className="button"
                  aria-pressed={topic === chosen}
                  onClick={() => show(topic)}
                >
                  {topic.replace(/^stream:/, '')}
                </button>
              </li>
            ))}
          </ul>
        </nav>
      )}
    </Screen>
  );
}

function Answer({ topic, run }: { topic: string; run: Run<string> }) {
  const { status, value, error, chunks, restart } = run;
  return (
    <article
      aria-label={topic}
      className="rounded-2xl border border-line bg-surface p-4 shadow-sm sm:p-6"
    >
      <p className="text-base leading-relaxed break-words whitespace-pre-wrap">
        {value}
        {status === 'running' && <span aria-hidden="true">▍</span>}
      </p>
      <footer className="mt-4 flex flex-wrap items-center gap-x-4 gap-y-2 text-sm text-muted">
        <span role="status">{states[status]}</span>
        <span>
          {chunks.length} {chunks.length === 1 ? 'entry' : 'entries'}
        </span>
        {error !== undefined && <span>{error}</span>}
        {(status === 'done' || status === 'failed') && (
          <button type="button" className="button" onClick={restart}>
            Read it again
          </button>
        )}
      </footer>
    </article>
  );
}

/** The runs that were the newest one while the screen was open, the newest first. */
function useSeen(newest: string | undefined): readonly string[] {
  const [seen, setSeen] = useState<readonly string[]>([]);
  if (newest === undefined || seen[0] === newest) return seen;
  const next = [newest, ...seen.filter((topic) => topic !== newest)].slice(0, KEPT);
  setSeen(next);
  return next;
}
