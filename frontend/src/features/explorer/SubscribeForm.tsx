import { type SubmitEvent, useId, useRef, useState } from 'react';
import type { Kind } from '../../lib/topic';
import { focusNeighbour } from '../../lib/focus';
import { MAX_LAST } from '../../lib/query-last';
import { Button } from '../../ui/Button';
import { Panel } from '../../ui/Panel';
import { type Exploration, hints, problemOf } from './topics';
import { KindSelect } from './KindSelect';

interface Props {
  exploration: Exploration;
  onChange: (exploration: Exploration) => void;
}

const intervals = ['100ms', '250ms', '1s', '5s', '60s'];

export function SubscribeForm({ exploration, onChange }: Props) {
  const { topics, last, every, events } = exploration;
  const [kind, setKind] = useState<Kind>('channel');
  const [name, setName] = useState('');
  const [problem, setProblem] = useState<string>();
  const id = useId();
  const nameField = useRef<HTMLInputElement>(null);

  function add(event: SubmitEvent) {
    event.preventDefault();
    const found = problemOf(kind, name);
    setProblem(found);
    if (found) return;
    onChange({ ...exploration, topics: [...new Set([...topics, `${kind}:${name}`])] });
    setName('');
  }

  return (
    <Panel className="space-y-3 p-4">
      <form onSubmit={add} className="flex flex-wrap gap-2">
        <KindSelect label="Kind of topic" value={kind} onChange={setKind} />
        <input
          ref={nameField}
          aria-label="Name"
          aria-describedby={`${id}-hint`}
          aria-invalid={problem !== undefined}
          value={name}
          onChange={({ target }) => setName(target.value)}
          placeholder={kind === 'key' ? 'price:*' : kind === 'stream' ? 'orders' : 'updates'}
          spellCheck={false}
          autoCapitalize="off"
          className="field min-w-0 grow basis-28 font-mono"
        />
        <Button primary type="submit">
          Follow
        </Button>
        <p
          id={`${id}-hint`}
          role="status"
          className={`basis-full text-xs ${problem ? 'font-medium text-warning' : 'text-muted'}`}
        >
          {problem ?? hints[kind]}
        </p>
      </form>
      <ul aria-label="Topics followed" className="flex flex-wrap gap-1.5 empty:hidden">
        {topics.map((topic) => (
          <li
            key={topic}
            className="flex items-center rounded-md bg-accent-soft ps-2 font-mono text-xs text-accent wrap-anywhere"
          >
            {topic}
            <button
              type="button"
              aria-label={`Stop following ${topic}`}
              onClick={({ currentTarget }) => {
                focusNeighbour(currentTarget, nameField.current);
                onChange({ ...exploration, topics: topics.filter((other) => other !== topic) });
              }}
              className="min-h-7 cursor-pointer rounded-md px-2 hover:text-ink"
            >
              ✕
            </button>
          </li>
        ))}
      </ul>
      <div className="flex flex-wrap items-end gap-x-4 gap-y-2 text-sm">
        <label className="flex items-center gap-2">
          <span className="text-muted">Start with the last</span>
          <input
            type="number"
            min={0}
            max={MAX_LAST}
            value={last}
            onChange={({ target }) => {
              const wanted = Math.trunc(target.valueAsNumber || 0);
              onChange({ ...exploration, last: Math.max(0, Math.min(wanted, MAX_LAST)) });
            }}
            className="field w-20"
          />
        </label>
        <label className="flex min-w-0 items-center gap-2">
          <span className="text-muted">Show</span>
          <select
            value={every}
            onChange={({ target }) => onChange({ ...exploration, every: target.value })}
            className="field min-w-0"
          >
            <option value="">every event</option>
            {[...new Set([...intervals, every])].filter(Boolean).map((interval) => (
              <option key={interval} value={interval}>
                the newest every {interval}
              </option>
            ))}
          </select>
        </label>
        <EventTypes
          events={events}
          onChange={(next) => onChange({ ...exploration, events: next })}
        />
      </div>
    </Panel>
  );
}

interface EventTypesProps {
  events: readonly string[];
  onChange: (events: string[]) => void;
}

/** The types of events to receive. An `EventSource` receives only events of the types that it names. */
function EventTypes({ events, onChange }: EventTypesProps) {
  const [text, setText] = useState(events.join(', '));
  const [shown, setShown] = useState(events.join());
  if (events.join() !== shown) {
    setShown(events.join());
    setText(events.join(', '));
  }
  const commit = () => {
    const types = text.split(',').map((type) => type.trim());
    onChange([...new Set(types.filter(Boolean))]);
  };
  return (
    <label className="flex min-w-0 items-center gap-2">
      <span className="text-muted">Event types</span>
      <input
        value={text}
        onChange={({ target }) => setText(target.value)}
        onBlur={commit}
        onKeyDown={({ key }) => {
          if (key === 'Enter') commit();
        }}
        placeholder="order.created, …"
        spellCheck={false}
        autoCapitalize="off"
        className="field w-44 min-w-0 font-mono"
      />
    </label>
  );
}
