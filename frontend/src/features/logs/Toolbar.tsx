import { useEffect, useEffectEvent, useId, useRef } from 'react';
import { isTyping, useSingleKeys } from '../../lib/single-keys';
import { count } from '../../lib/text';
import { Button } from '../../ui/Button';
import { ExportButton } from './ExportButton';
import { levels } from './levels';
import { levelLooks } from './level-looks';
import type { Tail, TailSnapshot } from './tail';
import type { FilterControl } from './use-filter';

interface Props {
  tail: Tail;
  snapshot: TailSnapshot;
  filter: FilterControl;
}

/** Levels that have a button even while no line is of them: the row of buttons should not jump. */
const usual = new Set(['debug', 'info', 'warn', 'error']);

/** The controls that filter, pause and export the tail. */
export function Toolbar({ tail, snapshot, filter }: Props) {
  const { query, setQuery, hidden, toggle, problem } = filter;
  const isHeld = snapshot.waiting !== undefined;
  const input = useRef<HTMLInputElement>(null);
  const problemId = useId();
  const hasKeys = useSingleKeys();
  useSlash(() => input.current?.focus(), hasKeys);

  return (
    <div className="flex flex-wrap items-center gap-2 border-b border-line bg-raised px-3 py-2">
      <div className="flex min-w-0 grow basis-64 items-center gap-1">
        <input
          ref={input}
          type="search"
          aria-label="Filter lines"
          aria-keyshortcuts={hasKeys ? '/' : undefined}
          aria-invalid={problem !== undefined}
          aria-describedby={problemId}
          placeholder={query.isRegex ? 'Regular expression' : `Filter${hasKeys ? '  ( / )' : ''}`}
          value={query.text}
          spellCheck={false}
          autoCapitalize="off"
          onChange={({ target }) => setQuery({ ...query, text: target.value })}
          className="field w-full min-w-0 font-mono"
        />
        <Button
          aria-pressed={query.isRegex}
          onClick={() => setQuery({ ...query, isRegex: !query.isRegex })}
          className="font-mono aria-pressed:border-accent aria-pressed:bg-accent-soft aria-pressed:text-accent"
        >
          <span aria-hidden="true">.*</span>
          <span className="sr-only">Regular expression</span>
        </Button>
      </div>
      <div role="group" aria-label="Levels shown" className="flex flex-wrap gap-1">
        {levels
          .filter((level) => usual.has(level) || snapshot.levels[level] > 0)
          .map((level) => (
            <button
              key={level}
              type="button"
              aria-pressed={!hidden.has(level)}
              onClick={() => toggle(level)}
              className="inline-flex min-h-8 cursor-pointer items-center gap-1.5 rounded-md border border-control bg-surface px-2 text-xs font-medium tabular-nums not-aria-pressed:border-dashed not-aria-pressed:bg-transparent not-aria-pressed:text-muted not-aria-pressed:line-through"
            >
              <span className={hidden.has(level) ? '' : levelLooks[level]}>{level}</span>
              <span>{count(snapshot.levels[level])}</span>
            </button>
          ))}
      </div>
      <div className="flex gap-2">
        <Button onClick={() => (isHeld ? tail.release() : tail.hold('pause'))}>
          {isHeld ? 'Resume' : 'Pause'}
        </Button>
        <ExportButton rows={snapshot.rows} />
      </div>
      <p id={problemId} role="status" className="basis-full text-sm text-warning empty:hidden">
        {problem && `Invalid regular expression: ${problem}`}
      </p>
    </div>
  );
}

/** Calls `onSlash` when the reader presses `/` outside of text fields. */
function useSlash(onSlash: () => void, isOn: boolean) {
  const onSlashEvent = useEffectEvent(onSlash);
  useEffect(() => {
    if (!isOn) return;
    const onKeyDown = (event: KeyboardEvent) => {
      if (event.key !== '/' || event.ctrlKey || event.metaKey || event.altKey) return;
      if (isTyping(event)) return;
      event.preventDefault();
      onSlashEvent();
    };
    document.addEventListener('keydown', onKeyDown);
    return () => document.removeEventListener('keydown', onKeyDown);
  }, [isOn]);
}
