import { ArrivalTime } from '../../ui/ArrivalTime';
import { Panel } from '../../ui/Panel';
import type { NamedRun } from './runs';

interface Props {
  runs: readonly NamedRun[];
  /** The topic of the run that is shown. */
  shown: string | undefined;
  onShow: (topic: string) => void;
}

/** The runs that this tab has seen, to choose one from. */
export function RunList({ runs, shown, onShow }: Props) {
  return (
    <Panel className="overflow-hidden">
      <h2 id="runs-seen" className="border-b border-line px-4 py-2.5 text-sm font-semibold">
        Seen in this tab
      </h2>
      <ul aria-labelledby="runs-seen">
        {runs.map(({ topic, at }, index) => (
          <li key={topic} className="border-b border-line last:border-b-0">
            <button
              type="button"
              aria-current={topic === shown}
              className="flex w-full items-center justify-between gap-3 px-4 py-2.5 text-start text-sm -outline-offset-2 hover:bg-raised aria-[current=true]:bg-accent-soft aria-[current=true]:text-accent"
              onClick={() => onShow(topic)}
            >
              <span className="min-w-0 font-mono text-[0.8125rem] wrap-anywhere">
                {topic.replace(/^stream:/, '')}
                {index === 0 && <span className="font-sans"> · newest</span>}
              </span>
              <ArrivalTime at={at} />
            </button>
          </li>
        ))}
      </ul>
    </Panel>
  );
}
