import { memo } from 'react';
import type { GapEntry } from '@sluice/client';
import { ArrivalTime } from '../ui/ArrivalTime';
import { gapText } from '../lib/text';

interface Props {
  gap: GapEntry;
  showTopic: boolean;
}

export const GapRow = memo(function GapRow({ gap, showTopic }: Props) {
  return (
    <div className="flex flex-wrap items-baseline gap-x-4 gap-y-0.5 border-y border-dashed border-warning-line bg-warning-soft px-4 py-2 text-warning sm:flex-nowrap sm:px-5">
      <ArrivalTime at={gap.receivedAt} />
      <p className="min-w-0 grow basis-full text-sm font-medium sm:basis-auto">
        {gapText(gap)}
        {showTopic && <span className="ms-2 font-mono text-xs font-normal">{gap.topic}</span>}
      </p>
    </div>
  );
});
