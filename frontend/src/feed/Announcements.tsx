import { useEffect, useEffectEvent, useState } from 'react';
import type { Entries } from '@sluice/client';
import { gapText, plural } from '../lib/text';

/** The interval of the summaries for screen readers, in milliseconds. */
const SUMMARY_INTERVAL = 30_000;

/** Announces each gap to screen readers, and the number of events at an interval. */
export function Announcements({ stream }: { stream: Entries<unknown> }) {
  const gap = stream.entries.findLast((entry) => entry.kind === 'gap');
  const summary = useSummary(stream.received);
  return (
    <div className="sr-only">
      {/* A new element for each, as the same text twice would be read once. */}
      <p role="status">{gap && <span key={gap.seq}>{gapText(gap)}</span>}</p>
      <p role="status">{summary}</p>
    </div>
  );
}

function useSummary(received: number): string {
  const [summary, setSummary] = useState({ received: 0, text: '' });

  const summarise = useEffectEvent(() => {
    const fresh = received - summary.received;
    setSummary({ received, text: fresh > 0 ? `${plural(fresh, 'event')} received` : '' });
  });

  useEffect(() => {
    const timer = setInterval(() => summarise(), SUMMARY_INTERVAL);
    return () => clearInterval(timer);
  }, []);

  return summary.text;
}
