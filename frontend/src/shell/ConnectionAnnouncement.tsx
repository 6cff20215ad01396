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
      return status.cause ? 'Connection lost, trying again' : 'Connecting';
    case 'waiting':
      return 'Connection lost, trying again';
    case 'live':
      return resumed ? 'Connected again, nothing was missed' : 'Connected';
    case 'closed':
      return 'Closed';
  }
}
