import { useId } from 'react';
import { Figure } from '../../ui/Figure';
import { Freshness } from '../../ui/Freshness';
import { MAX_LAST } from '../../lib/query-last';
import { Panel } from '../../ui/Panel';
import { quantity } from '../../lib/quantity';
import type { Columns } from '../../charts/series-summary';
import { timeOf } from '../../lib/time-of';
import { TimeChart, type TimeChartProps } from '../../charts/TimeChart';
import { TopicGate } from '../../ui/TopicGate';
import type { Series } from '@sluice/client';
import { useSeries, useStream } from '@sluice/client/react';
import { chartedFigures, exampleSample, type Machine, machineSchema } from './machine';

type ChartedFigure = keyof ReturnType<typeof chartedFigures>;

const KEPT = 16 * 60 * 1_000;
/** The newest message, and room for a gap after it. */
const newestOnly = { last: MAX_LAST, limit: 2, remember: false };

const example = { topic: 'channel:metrics', data: JSON.stringify(exampleSample) };

export function MachineHealth({ topic, span }: { topic: string; span: number }) {
  const series = useSeries(topic, chartedFigures, {
    ...{ schema: machineSchema, at: timeOf, window: KEPT, last: MAX_LAST },
  });
  const stream = useStream(topic, { ...newestOnly, schema: machineSchema });
  const { entries, invalid } = stream;
  const newest = entries.findLast((entry) => entry.kind === 'message');
  const headingId = useId();
  return (
    <section aria-labelledby={headingId} className="space-y-3">
      <div className="flex flex-wrap items-baseline gap-x-4">
        <h2 id={headingId} className="font-semibold">
          Machine
        </h2>
        <p className="font-mono text-sm text-muted wrap-anywhere">{topic}</p>
        <Freshness at={newest?.receivedAt} />
      </div>
      {newest?.invalid !== undefined && (
        <p className="text-sm text-warning">
          The newest message of this topic is not a machine sample ({newest.invalid}).
        </p>
      )}
      <TopicGate
        stream={stream}
        isEmpty={series.names.length === 0 && invalid === 0}
        example={example}
      >
        {newest?.value && <Now machine={newest.value} />}
        {series.names.length > 0 && <Charts series={series} span={span} />}
      </TopicGate>
    </section>
  );
}

function Now({ machine: { cpu_percent, memory, load, disk, network } }: { machine: Machine }) {
  const received = quantity(network.received_bytes_per_second, 'bytes/s');
  return (
    <Panel>
      <dl className="grid grid-cols-2 sm:grid-cols-3 lg:grid-cols-5">
        <Figure label="CPU" value={quantity(cpu_percent, 'percent')} />
        <Figure
          label="Memory"
          value={quantity(memory.used_percent, 'percent')}
          note={shareOf(memory)}
        />
        <Figure
          label="Load"
          value={quantity(load[0], 'number')}
          note={`5 min ${quantity(load[1], 'number')}, 15 min ${quantity(load[2], 'number')}`}
        />
        <Figure
          label="Disk"
          value={quantity(disk.used_percent, 'percent')}
          note={shareOf(disk)}
          isWarning={disk.used_percent >= 90}
        />
        <Figure
          label="Network"
          value={received}
          note={`received; ${quantity(network.sent_bytes_per_second, 'bytes/s')} sent`}
        />
      </dl>
    </Panel>
  );
}

function shareOf({ used_bytes, total_bytes }: Machine['memory']): string {
  return `${quantity(used_bytes, 'bytes')} of ${quantity(total_bytes, 'bytes')}`;
}

const charts: readonly (Pick<TimeChartProps, 'title' | 'unit' | 'max'> & {
  lines: readonly (TimeChartProps['lines'][number] & { figure: ChartedFigure })[];
})[] = [
  {
    ...{ title: 'CPU', unit: 'percent', max: 100 },
    lines: [{ label: 'CPU', colour: 'accent', figure: 'cpu' }],
  },
  {
    ...{ title: 'Memory', unit: 'percent', max: 100 },
    lines: [{ label: 'Memory', colour: 'accent', figure: 'memory' }],
  },
  {
    ...{ title: 'Disk', unit: 'bytes/s' },
    lines: [
      { label: 'Read', colour: 'accent', figure: 'diskRead' },
      { label: 'Written', colour: 'warning-line', figure: 'diskWritten' },
    ],
  },
  {
    ...{ title: 'Network', unit: 'bytes/s' },
    lines: [
      { label: 'Received', colour: 'accent', figure: 'networkReceived' },
      { label: 'Sent', colour: 'warning-line', figure: 'networkSent' },
    ],
  },
  {
    ...{ title: 'Load', unit: 'number' },
    lines: [
      { label: '1 min', colour: 'accent', figure: 'load1' },
      { label: '5 min', colour: 'warning-line', figure: 'load5' },
      { label: '15 min', colour: 'control', figure: 'load15' },
    ],
  },
];

function Charts({ series, span }: { series: Series; span: number }) {
  return (
    <div className="grid gap-4 lg:grid-cols-2">
      {charts.map((chart) => (
        <Panel key={chart.title} className="lg:last:odd:col-span-2">
          <TimeChart
            {...chart}
            data={columnsOf(
              series,
              chart.lines.map(({ figure }) => figure),
            )}
            gaps={series.gaps}
            span={span}
          />
        </Panel>
      ))}
    </div>
  );
}

function columnsOf({ names, data }: Series, figures: readonly ChartedFigure[]): Columns {
  const [times, ...columns] = data;
  return [times, ...figures.map((figure) => columns[names.indexOf(figure)] ?? [])];
}
