import { useMemo, useState } from 'react';
import { Bars } from '../../charts/Bars';
import { summarise } from '../../charts/series-summary';
import { TimeChart } from '../../charts/TimeChart';
import { Choice } from '../../ui/Choice';
import { Freshness } from '../../ui/Freshness';
import { MAX_LAST } from '../../lib/query-last';
import { Panel } from '../../ui/Panel';
import type { ScreenProps } from '../../ui/screen-props';
import { Screen } from '../../ui/Screen';
import { labelOf, quantity, unitOf } from '../../lib/quantity';
import { count } from '../../lib/text';
import { TopicChoice } from '../../ui/TopicChoice';
import { TopicGate } from '../../ui/TopicGate';
import { useView } from '../../lib/use-view';
import { collectBuckets } from './buckets';
import { columnOf } from './column';
import { FigureTotal } from './FigureTotal';
import { type Columns, isCount, sortColumns } from './figures';
import { type Part, windowOf } from './window';

const MINUTE = 60;
const spans = [1, 5, 15].map((minutes) => ({ value: minutes * MINUTE, text: `${minutes} min` }));
/** Seconds: twice the longest span, to compare it with the one before, and a little for late events. */
const KEPT = (2 * 15 + 1) * MINUTE;
const collect = () => collectBuckets(KEPT);
const options = { last: MAX_LAST };

const example = {
  topic: 'channel:analytics',
  data: '{"page_views":42,"by_page":{"/":40,"/cart":2}}',
};

/** Charts and breakdowns of whatever figures a topic's messages hold. */
export default function Analytics({ topics }: ScreenProps) {
  const [chosen, setChosen] = useState('');
  const topic = topics.includes(chosen) ? chosen : (topics[0] ?? '');
  const [span, setSpan] = useState(5 * MINUTE);
  return (
    <Screen
      title="Analytics"
      actions={<Choice label="Time shown" options={spans} value={span} onChange={setSpan} />}
    >
      <TopicChoice topics={topics} value={topic} onChange={setChosen} />
      <Charts key={topic} topic={topic} span={span} />
    </Screen>
  );
}

function Charts({ topic, span }: { topic: string; span: number }) {
  const series = useView([topic], options, collect);
  const { figures, breakdowns } = sortColumns(series.names);
  return (
    <TopicGate stream={series} isEmpty={series.newestAt === undefined} example={example}>
      <Freshness at={series.newestAt} />
      {figures.length === 0 && breakdowns.length === 0 && (
        <p className="text-sm text-muted">
          There are no figures in these messages. Numbers are charted, on their own or as the fields
          of a JSON object.
        </p>
      )}
      {series.leftOut > 0 && (
        <p role="status" className="text-sm text-warning">
          There are too many figures: at least {count(series.leftOut)} of them are left out.
        </p>
      )}
      {figures.length > 0 && (
        <Panel>
          <dl className="grid grid-cols-2 sm:grid-cols-[repeat(auto-fit,minmax(11rem,1fr))]">
            {figures.map((figure) => (
              <FigureTotal key={figure.field} series={series} {...figure} span={span} />
            ))}
          </dl>
        </Panel>
      )}
      <div className="grid gap-4 empty:hidden lg:grid-cols-2">
        {figures.map((figure) => (
          <Panel key={figure.field} className="lg:last:odd:col-span-2">
            <FigureChart series={series} {...figure} span={span} />
          </Panel>
        ))}
      </div>
      <div className="grid gap-4 empty:hidden lg:grid-cols-2">
        {breakdowns.map((breakdown) => (
          <Panel key={breakdown.field}>
            <Breakdown series={series} {...breakdown} span={span} />
          </Panel>
        ))}
      </div>
    </TopicGate>
  );
}

function FigureChart({ series, field, column, span }: Part<Columns['figures'][number]>) {
  const drawn = useMemo(() => columnOf(series, column), [series, column]);
  const label = labelOf(field);
  return (
    <TimeChart
      title={isCount(field) ? `${label} per second` : label}
      unit={unitOf(field)}
      lines={[{ label, colour: 'accent' }]}
      data={drawn}
      gaps={series.gaps}
      span={span}
    />
  );
}

/** The sums of the parts of a figure in the selected time range. */
function Breakdown({ series, field, parts, span }: Part<Columns['breakdowns'][number]>) {
  const [times, ...columns] = series.data;
  const { from, covered } = windowOf(series, span);
  const values = parts.map(({ name, column }) => ({
    name,
    value: summarise(times, columns[column] ?? [], from)?.sum ?? 0,
  }));
  return (
    <Bars
      title={labelOf(field)}
      note={`in ${quantity(covered, 'seconds')}`}
      caption="Total"
      unit={unitOf(field)}
      values={values}
    />
  );
}
