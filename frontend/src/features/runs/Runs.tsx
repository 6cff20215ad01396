import { useRun, useStream } from '@sluice/client/react';
import { Screen } from '../../ui/Screen';
import type { ScreenProps } from '../../ui/screen-props';
import { TopicGate } from '../../ui/TopicGate';
import { Answer } from './Answer';
import { RunList } from './RunList';
import { namedRuns } from './runs';

/** The number of values of the key that the screen keeps. */
const KEPT = 9;

const example = { topic: 'key:run:latest', data: 'stream:run:1' };

/** Streams that end: the newest run that a key names, word by word, and earlier ones. */
export default function Runs({ topics, query, setQuery }: ScreenProps) {
  const names = useStream(topics, { limit: KEPT });
  const runs = namedRuns(names.entries);
  const newest = runs[0]?.topic;
  const shown = query.get('run') ?? newest;
  // The newest run may have no entry yet; another one that does not exist is gone.
  const run = useRun(shown, { mustExist: shown !== newest });

  function show(topic: string) {
    const next = new URLSearchParams(query);
    if (topic === newest) next.delete('run');
    else next.set('run', topic);
    setQuery(next);
  }

  return (
    <Screen
      title="Runs"
      description="Streams that end, such as the answers of a language model. Reload the page while one is written: it continues in the same place."
    >
      <TopicGate stream={names} isEmpty={shown === undefined} example={example}>
        <div className="grid items-start gap-4 lg:grid-cols-[minmax(0,1fr)_19rem]">
          {shown !== undefined && <Answer topic={shown} run={run} />}
          <RunList runs={runs} shown={shown} onShow={show} />
        </div>
      </TopicGate>
    </Screen>
  );
}
