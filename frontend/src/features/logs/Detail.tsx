import { CopyButton } from '../../ui/CopyButton';
import { PrettyData } from '../../feed/PrettyData';
import { entryID } from '../../lib/entry-id';
import { gapText } from '../../lib/text';
import type { LogRow } from './line';

export function Detail({ row, onClose }: { row: LogRow; onClose: () => void }) {
  const { entry } = row;
  return (
    <aside
      aria-label="Detail"
      className="flex max-h-1/2 min-h-0 shrink-0 flex-col border-line max-lg:border-t lg:max-h-none lg:w-96 lg:border-s"
    >
      <div className="flex items-center justify-between gap-4 border-b border-line bg-raised px-4 py-1.5">
        <h2 className="text-sm font-semibold">Detail</h2>
        <button type="button" className="link-button" onClick={onClose}>
          Close
        </button>
      </div>
      <div
        tabIndex={0}
        role="group"
        aria-label="The event"
        className="min-h-0 flex-1 space-y-3 overflow-y-auto p-4 text-sm -outline-offset-2"
      >
        {row.kind === 'gap' ? (
          <p className="text-warning">{gapText(row.entry)}</p>
        ) : (
          <>
            <dl className="grid grid-cols-[auto_1fr] gap-x-4 gap-y-1 font-mono text-xs wrap-anywhere">
              <Term name="time" value={new Date(row.time).toISOString()} />
              <Term name="received" value={new Date(entry.receivedAt).toISOString()} />
              <Term name="level" value={row.level} />
              <Term name="topic" value={entry.topic} />
              <Term name="id" value={entryID(row.entry.topic, row.entry.id) ?? row.entry.id} />
              {row.entry.type !== 'message' && <Term name="type" value={row.entry.type} />}
            </dl>
            <PrettyData data={row.entry.data} />
            <CopyButton text={row.entry.data} what="this line" />
          </>
        )}
      </div>
    </aside>
  );
}

function Term({ name, value }: { name: string; value: string }) {
  return (
    <>
      <dt className="text-muted">{name}</dt>
      <dd>{value}</dd>
    </>
  );
}
