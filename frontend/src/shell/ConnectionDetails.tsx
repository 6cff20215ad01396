import { Popover } from '@base-ui/react/popover';
import { type ReactNode, type RefObject, useEffect, useState } from 'react';
import { causeText, count, plural } from '../lib/text';
import { useNow } from '../lib/use-now';
import type { StreamStatus } from '@sluice/client';
import { useStreamClient, useStreamStatus } from '@sluice/client/react';
import { Button } from '../ui/Button';

interface Props {
  /** The element that it belongs to. */
  anchor: RefObject<HTMLElement | null>;
  onClose: () => void;
}

export default function ConnectionDetails({ anchor, onClose }: Props) {
  const status = useStreamStatus();
  return (
    <Popover.Root open onOpenChange={(open) => !open && onClose()}>
      <Popover.Portal>
        <Popover.Positioner anchor={anchor} sideOffset={8} collisionPadding={8} className="z-40">
          <Popover.Popup
            finalFocus={anchor}
            className="w-80 max-w-[calc(100vw-1rem)] rounded-xl border border-line bg-surface p-4 shadow-lg"
          >
            <Popover.Title className="font-semibold">Connection</Popover.Title>
            <Details {...status} />
          </Popover.Popup>
        </Popover.Positioner>
      </Popover.Portal>
    </Popover.Root>
  );
}

function Details(stream: StreamStatus) {
  const { status, latency, refused } = stream;
  const client = useStreamClient();
  const roundTrip = useRoundTrip(client.url);
  const cause = 'cause' in status ? status.cause : undefined;
  return (
    <>
      {cause && <p className="mt-2 text-sm text-warning">{causeText(cause, client.url)}</p>}
      <dl className="mt-3 grid grid-cols-[auto_1fr] gap-x-4 gap-y-1.5 text-sm">
        <Row name="Server">
          <span className="font-mono text-xs">{client.url}</span>
        </Row>
        <Row name="Continuity">{continuity(stream)}</Row>
        <Row name="Last event">
          <Ago at={stream.lastActivity} />
        </Row>
        <Row name="Latency">
          {latency !== undefined && `about ${count(Math.round(latency))} ms`}
          {latency === undefined &&
            (roundTrip === undefined
              ? 'not measured yet'
              : `${count(Math.round(roundTrip))} ms to the server and back`)}
        </Row>
        {refused.size > 0 && <Row name="Refused">{[...refused.keys()].join(', ')}</Row>}
      </dl>
      {latency !== undefined && (
        <p className="mt-2 text-xs text-muted">
          From the time in the server’s last ping, so that a difference of the two clocks is in it.
        </p>
      )}
      {(status.phase === 'waiting' || refused.size > 0) && (
        <Button primary className="mt-3" onClick={client.retryNow}>
          Retry now
        </Button>
      )}
    </>
  );
}

/** The round-trip time to the server in milliseconds. A busy stream has no pings from which it could be measured. */
function useRoundTrip(url: string): number | undefined {
  const [time, setTime] = useState<number>();
  useEffect(() => {
    const ending = new AbortController();
    const start = performance.now();
    fetch(`${url}/healthz`, { cache: 'no-store', signal: ending.signal }).then(
      () => setTime(performance.now() - start),
      () => undefined, // the connection says why
    );
    return () => ending.abort();
  }, [url]);
  return time;
}

function Row({ name, children }: { name: string; children: ReactNode }) {
  return (
    <>
      <dt className="text-muted">{name}</dt>
      <dd className="min-w-0 wrap-anywhere tabular-nums">{children}</dd>
    </>
  );
}

function continuity({ resumed, missed, gaps }: StreamStatus): string {
  if (missed > 0) return `${count(missed)} missed`;
  if (gaps > 0) return `${plural(gaps, 'gap')}, of unknown size`;
  return resumed ? 'resumed, nothing missed' : 'nothing missed';
}

function Ago({ at }: { at: number | undefined }) {
  const seconds = Math.floor((useNow() - (at ?? 0)) / 1_000);
  if (at === undefined) return <>none yet</>;
  return <>{seconds < 2 ? 'just now' : `${count(seconds)} s ago`}</>;
}
