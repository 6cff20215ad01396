import { type SubmitEvent, useId, useState } from 'react';
import { type Kind, splitTopic } from '../../lib/topic';
import { Button } from '../../ui/Button';
import { CopyButton } from '../../ui/CopyButton';
import { curlCommand, redisCommand } from '../../lib/commands';
import { useHasRedis } from '../../lib/use-has-redis';
import { Panel } from '../../ui/Panel';
import { isGlob } from '@sluice/client';
import { useStreamClient } from '@sluice/client/react';
import { KindSelect } from './KindSelect';
import { type Outcome, publish } from './publish';
import { problemOf } from './topics';

interface Props {
  /** The followed topics. The first literal one is the default to publish to. */
  topics: readonly string[];
  /** Called with the type of each event before it is published. */
  onPublish: (type: string) => void;
}

/** Publishes an event, or shows how to do that from a terminal. */
export function PublishForm({ topics, onPublish }: Props) {
  const client = useStreamClient();
  const [chosen, setChosen] = useState<[kind: Kind, name: string]>();
  const [data, setData] = useState('{"value":42}');
  const [event, setEvent] = useState('');
  const [maxlen, setMaxlen] = useState('');
  const [outcome, setOutcome] = useState<Outcome>();
  const headingId = useId();

  const [kind, name] = chosen ?? splitTopic(topics.find((topic) => !isGlob(topic)) ?? 'channel:');
  const publication = { topic: `${kind}:${name}`, data, event, maxlen };
  const eventsURL = `${client.url}/events`;
  const hasRedis = useHasRedis(client.url);
  const commands = [
    { tool: 'curl', text: curlCommand(publication, eventsURL) },
    { tool: 'redis-cli', text: hasRedis === false ? undefined : redisCommand(publication) },
  ];

  async function submit(submitted: SubmitEvent) {
    submitted.preventDefault();
    const problem = problemOf(kind, name);
    if (problem) {
      setOutcome({ kind: 'failed', reason: problem });
      return;
    }
    if (kind === 'stream') onPublish(event);
    setOutcome(await publish(publication, client.url, client.authorization()));
  }

  return (
    <Panel className="p-4">
      <form
        aria-labelledby={headingId}
        onSubmit={(submitted) => void submit(submitted)}
        className="space-y-3"
      >
        <h2 id={headingId} className="font-semibold">
          Publish
        </h2>
        <div className="flex gap-2">
          <KindSelect
            label="Kind to publish to"
            value={kind}
            onChange={(next) => setChosen([next, name])}
          />
          <input
            aria-label="Name to publish to"
            value={name}
            onChange={({ target }) => setChosen([kind, target.value])}
            placeholder="name"
            spellCheck={false}
            autoCapitalize="off"
            className="field min-w-0 grow font-mono"
          />
        </div>
        {kind === 'stream' && (
          <div className="flex gap-2">
            <input
              aria-label="Event type"
              value={event}
              onChange={({ target }) => setEvent(target.value)}
              placeholder="event type"
              spellCheck={false}
              autoCapitalize="off"
              className="field min-w-0 grow font-mono"
            />
            <input
              aria-label="Approximate maximum number of entries"
              type="number"
              min={1}
              value={maxlen}
              onChange={({ target }) => setMaxlen(target.value)}
              placeholder="maxlen"
              className="field w-28"
            />
          </div>
        )}
        <textarea
          aria-label="Data"
          rows={4}
          value={data}
          onChange={({ target }) => setData(target.value)}
          spellCheck={false}
          className="field block w-full py-2 font-mono"
        />
        <Button primary type="submit">
          Publish
        </Button>
        <p role="status" className="text-sm wrap-anywhere empty:hidden">
          {outcome && <OutcomeText outcome={outcome} />}
        </p>
      </form>
      <ul aria-label="The same from a terminal" className="mt-4 space-y-2">
        {commands.map(({ tool, text }) =>
          text === undefined ? null : (
            <li key={tool} className="rounded-lg border border-line bg-raised px-3 py-2">
              <div className="flex items-center justify-between text-xs text-muted">
                {tool}
                <CopyButton text={text} what={`the ${tool} command`} />
              </div>
              <code className="block max-h-40 overflow-y-auto font-mono text-xs wrap-anywhere whitespace-pre-wrap">
                {text}
              </code>
            </li>
          ),
        )}
      </ul>
    </Panel>
  );
}

function OutcomeText({ outcome }: { outcome: Outcome }) {
  if (outcome.kind === 'failed') return <span className="text-warning">{outcome.reason}</span>;
  return (
    <span className="text-live">
      Published to <span className="font-mono">{outcome.topic}</span>
      {outcome.id && (
        <>
          , id <span className="font-mono">{outcome.id}</span>
        </>
      )}
    </span>
  );
}
