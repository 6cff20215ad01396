import { Figure } from '../../ui/Figure';
import { Freshness } from '../../ui/Freshness';
import { Panel } from '../../ui/Panel';
import { quantity } from '../../lib/quantity';
import { count } from '../../lib/text';
import { TimeChart } from '../../charts/TimeChart';
import { useGateway } from './use-gateway';

export function Gateway({ span }: { span: number }) {
  const { history, problem } = useGateway();
  const { newest, rates, data } = history;
  const stats = newest?.stats;
  return (
    <section aria-labelledby="gateway" className="space-y-3">
      <div className="flex flex-wrap items-baseline gap-x-4">
        <h2 id="gateway" className="font-semibold">
          Gateway
        </h2>
        {stats && (
          <p className="text-sm text-muted wrap-anywhere">
            node <span className="font-mono">{stats.node}</span>, version{' '}
            <span className="font-mono">{stats.version}</span>
          </p>
        )}
        {problem && (
          <p role="status" className="text-sm font-medium text-warning">
            <span aria-hidden="true">⚠ </span>
            The gateway does not answer: {problem}
          </p>
        )}
        {!problem && <Freshness at={newest?.at} />}
      </div>
      <Panel>
        <dl className="grid grid-cols-2 sm:grid-cols-3 lg:grid-cols-4">
          <Figure label="Connections" value={stats ? count(stats.connections) : '–'} />
          <Figure label="Topics followed" value={stats ? count(stats.topics) : '–'} />
          <Figure
            label="Events"
            value={rates ? quantity(rates.events, 'per second') : '–'}
            note={stats && `${quantity(stats.events, 'number')} since its start`}
          />
          <Figure
            label="Deliveries"
            value={rates ? quantity(rates.deliveries, 'per second') : '–'}
            note={stats && `${quantity(stats.deliveries, 'number')} since its start`}
          />
          <Figure
            label="Gaps"
            value={stats ? count(stats.gaps) : '–'}
            isWarning={(stats?.gaps ?? 0) > 0}
          />
          <Figure
            label="Slow clients"
            value={stats ? count(stats.slow_clients) : '–'}
            isWarning={(stats?.slow_clients ?? 0) > 0}
          />
          <Figure label="Memory" value={stats ? quantity(stats.memory_bytes, 'bytes') : '–'} />
          <Figure label="Uptime" value={stats ? quantity(stats.uptime_seconds, 'seconds') : '–'} />
        </dl>
      </Panel>
      <Panel>
        {data[2].some((rate) => rate !== null) ? (
          <TimeChart
            title={throughput}
            unit="per second"
            lines={[
              { label: 'Deliveries', colour: 'accent' },
              { label: 'Events', colour: 'warning-line' },
            ]}
            data={[data[0], data[2], data[1]]}
            gaps={noGaps}
            span={span}
          />
        ) : (
          // As high as the chart that replaces it.
          <div className="flex h-57 flex-col px-4 pt-3">
            <h3 className="text-sm font-medium">{throughput}</h3>
            <p className="m-auto max-w-prose pb-8 text-center text-sm text-muted">
              A chart of deliveries and events per second begins here a few seconds after the
              gateway has answered. The gateway keeps no history of them.
            </p>
          </div>
        )}
      </Panel>
    </section>
  );
}

const throughput = 'Throughput';
const noGaps: readonly number[] = [];
