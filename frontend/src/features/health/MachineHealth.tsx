import { useId } from 'react';
import type uPlot from 'uplot';
import { Figure } from '../../components/Figure';
import { Freshness } from '../../components/Freshness';
import { Panel } from '../../components/Panel';
import { quantity } from '../../components/quantity';
import { TimeChart } from '../../components/TimeChart';
import { TopicGate } from '../../components/TopicGate';
import type { Series } from '../../stream/views/series';
import { useSeries } from '../../stream/react/use-series';
import { useStream } from '../../stream/react/use-stream';
import { chartedFigures, type Machine, machineSchema, sampledAt } from './machine';

interface Props {
  topic: string;
  /** Seconds. */
  span: number;
}

type Line = keyof ReturnType<typeof chartedFigures>;

const KEPT = 16 * 60 * 1_000;
const HISTORY = 1_000;
/** The newest message, and room for a gap after it. */
const newestOnly = { last: HISTORY, limit: 2, remember: false };
const STALE_AFTER = 10_000;

/** A machine's own figures, as they come on a topic. */
export function MachineHealth({ topic, span }: Props) {
  const series = useSeries(topic, chartedFigures, {
    ...{ schema: machineSchema, at: sampledAt, window: KEPT, last: HISTORY },
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
        <Freshness at={newest?.receivedAt} staleAfter={STALE_AFTER} />
      </div>
      {newest?.invalid !== undefined && (
        <p className="text-sm text-warning">
          What comes on this topic is no sample of a machine ({newest.invalid}).
        </p>
      )}
      <TopicGate stream={stream} isEmpty={series.names.length === 0 && invalid === 0}>
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

function Charts({ series, span }: { series: Series; span: number }) {
  const shared = { gaps: series.gaps, span };
  return (
    <div className="grid gap-4 lg:grid-cols-2">
      <Panel>
        <TimeChart
          title="CPU"
          unit="percent"
          max={100}
          lines={[{ label: 'CPU', colour: 'accent' }]}
          data={pick(series, 'cpu')}
          {...shared}
        />
      </Panel>
      <Panel>
        <TimeChart
          title="Memory"
          unit="percent"
          max={100}
          lines={[{ label: 'Memory', colour: 'accent' }]}
          data={pick(series, 'memory')}
          {...shared}
        />
      </Panel>
      <Panel>
        <TimeChart
          title="Disk"
          unit="bytes/s"
          lines={[
            { label: 'Read', colour: 'accent' },
            { label: 'Written', colour: 'warning-line' },
          ]}
          data={pick(series, 'diskRead', 'diskWritten')}
          {...shared}
        />
      </Panel>
      <Panel>
        <TimeChart
          title="Network"
          unit="bytes/s"
          lines={[
            { label: 'Received', colour: 'accent' },
            { label: 'Sent', colour: 'warning-line' },
          ]}
          data={pick(series, 'networkReceived', 'networkSent')}
          {...shared}
        />
      </Panel>
      <Panel className="lg:col-span-2">
        <TimeChart
          title="Load"
          unit="number"
          lines={[
            { label: '1 min', colour: 'accent' },
            { label: '5 min', colour: 'warning-line' },
            { label: '15 min', colour: 'control' },
          ]}
          data={pick(series, 'load1', 'load5', 'load15')}
          {...shared}
        />
      </Panel>
    </div>
  );
}

/** The columns of these lines. */
function pick({ names, data }: Series, ...lines: Line[]): uPlot.AlignedData {
  const [times, ...columns] = data;
  const picked = lines.map((line) => columns[names.indexOf(line)] ?? []);
  return [times, ...picked] as unknown as uPlot.AlignedData;
}
