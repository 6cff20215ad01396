import type { StreamStatus } from '@sluice/client';
import { useStreamStatus } from '@sluice/client/react';

/** Announces the state of the connection to screen readers. */
export function ConnectionAnnouncement() {
  return (
    <p role="status" className="sr-only">
      {textOf(useStreamStatus())}
    </p>
  );
}

function textOf({ status, resumed }: StreamStatus): string {
  switch (status.phase) {
    case 'connecting':
      return status.cause ? 'Connection lost, reconnecting' : 'Connecting';
    case 'waiting':
      return 'Connection lost, reconnecting';
    case 'live':
      return resumed ? 'Connected again, no events missed' : 'Connected';
    case 'closed':
      return 'Closed';
  }
}
