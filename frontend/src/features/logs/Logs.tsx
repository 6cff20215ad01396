import { useState } from 'react';
import { Panel } from '../../ui/Panel';
import type { ScreenProps } from '../../ui/screen-props';
import { Screen } from '../../ui/Screen';
import { TopicGate } from '../../ui/TopicGate';
import { Detail } from './Detail';
import type { LogRow } from './line';
import { LogList } from './LogList';
import type { Matcher } from './matcher';
import type { Tail, TailSnapshot } from './tail';
import { Toolbar } from './Toolbar';
import { useFilter } from './use-filter';
import { useTail } from './use-tail';

const example = {
  topic: 'stream:logs',
  data: '{"level":"info","service":"api","message":"started"}',
};

/** A tail of log lines that can be filtered, stopped and exported. */
export default function Logs({ topics, query, setQuery }: ScreenProps) {
  const { tail, snapshot, stream } = useTail(topics);
  const filter = useFilter(tail, { query, setQuery });
  const isEmpty = snapshot.kept === 0;

  return (
    <Screen title="Logs" fill>
      <TopicGate stream={stream} isEmpty={isEmpty} example={example}>
        <Panel className="flex min-h-0 flex-1 flex-col overflow-hidden">
          <Toolbar tail={tail} snapshot={snapshot} filter={filter} />
          <Lines key={topics.join(' ')} tail={tail} snapshot={snapshot} matcher={filter.matcher} />
        </Panel>
      </TopicGate>
    </Screen>
  );
}

interface LinesProps {
  tail: Tail;
  snapshot: TailSnapshot;
  matcher: Matcher | undefined;
}

function Lines({ tail, snapshot, matcher }: LinesProps) {
  const [active, setActive] = useState<LogRow>();
  const [isOpen, setIsOpen] = useState(false);

  return (
    <div className="flex min-h-0 flex-1 flex-col lg:flex-row">
      <LogList
        tail={tail}
        snapshot={snapshot}
        matcher={matcher}
        active={active}
        onActive={setActive}
        onOpen={() => setIsOpen(true)}
        onClose={() => setIsOpen(false)}
      />
      {isOpen && active && <Detail row={active} onClose={() => setIsOpen(false)} />}
    </div>
  );
}
