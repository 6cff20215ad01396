import { useEffect, useEffectEvent, useState } from 'react';
import type { StreamSnapshot } from '../stream/stream';
import type { Status } from '../stream/status';
import { events, gapText } from './text';

/** How often a screen reader is told how many events came. */
const SUMMARY_INTERVAL = 30_000;

/** What a screen reader says about the stream: how the connection is, each gap, and now and then a count. */
export function Announcements({ snapshot }: { snapshot: StreamSnapshot }) {
  const { status, opened, entries, received } = snapshot;
  const gap = entries.findLast((entry) => entry.kind === 'gap');
  const summary = useSummary(received);
  return (
    <div className="sr-only">
      <p role="status">{connectionText(status, opened?.resumed ?? false)}</p>
      {/* A new element for each, as the same text twice would be read once. */}
      <p role="status">{gap && <span key={gap.seq}>{gapText(gap)}</span>}</p>
      <p role="status">{summary}</p>
    </div>
  );
}

function connectionText(status: Status, resumed: boolean): string {
  switch (status.phase) {
    case 'connecting':
      return status.cause ? 'Connection lost, trying again' : 'Connecting';
    case 'waiting':
      return 'Connection lost, trying again';
    case 'live':
      return resumed ? 'Connected again, nothing was missed' : 'Connected';
    case 'closed':
      return 'Closed';
  }
}

function useSummary(received: number): string {
  const [summary, setSummary] = useState({ received: 0, text: '' });

  const summarise = useEffectEvent(() => {
    const fresh = received - summary.received;
    setSummary({ received, text: fresh > 0 ? `${events(fresh)} received` : '' });
  });

  useEffect(() => {
    const timer = setInterval(() => summarise(), SUMMARY_INTERVAL);
    return () => clearInterval(timer);
  }, []);

  return summary.text;
}
