import { memo } from 'react';
import type { MessageEntry } from '@sluice/client';
import { ArrivalTime } from '../ui/ArrivalTime';
import { LongText } from './LongText';
import { type Payload, readPayload, splitKeys } from './payload';
import { RawFallback } from './RawFallback';

interface Props {
  message: MessageEntry;
  /** Whether to show the topic, for lists with several. */
  showTopic: boolean;
}

/** One message. It never changes, so a list of them costs only its new rows. */
export const MessageRow = memo(function MessageRow({ message, showTopic }: Props) {
  const isNamed = message.type !== 'message';
  const payload = readPayload(message.data);
  return (
    <div className="flex flex-wrap items-baseline gap-x-4 gap-y-0.5 border-b border-line px-4 py-2 sm:flex-nowrap sm:px-5">
      {/* The tutorial's message shows its own time. */}
      {payload.kind !== 'reading' && <ArrivalTime at={message.receivedAt} />}
      <div className="min-w-0 grow basis-full text-sm sm:basis-auto">
        {(showTopic || isNamed) && (
          <p className="mb-0.5 flex flex-wrap gap-x-2 font-mono text-xs wrap-anywhere">
            {showTopic && <span className="text-accent">{message.topic}</span>}
            {isNamed && <span className="text-muted">{message.type}</span>}
          </p>
        )}
        <RawFallback data={message.data}>
          <Data data={message.data} payload={payload} />
        </RawFallback>
      </div>
    </div>
  );
});

function Data({ data, payload }: { data: string; payload: Payload }) {
  switch (payload.kind) {
    case 'reading':
      return <Reading time={payload.time} value={payload.value} />;
    case 'json':
      return <LongText text={payload.text} raw={data} render={renderJSON} />;
    case 'text':
      return data === '' ? (
        <p className="text-muted italic">Empty message</p>
      ) : (
        <LongText text={data} />
      );
  }
}

/** The tutorial's message. */
function Reading({ time, value }: { time: string; value: string }) {
  return (
    <p className="wrap-anywhere tabular-nums">
      <span className="text-muted">Time:</span> {time} <span className="text-muted">| Value:</span>{' '}
      <strong className="font-semibold text-accent">{value}</strong>
    </p>
  );
}

function renderJSON(text: string) {
  return splitKeys(text).map(({ text, isKey }, index) =>
    isKey ? (
      <span key={index} className="text-muted">
        {text}
      </span>
    ) : (
      text
    ),
  );
}
