import { useState } from 'react';
import { CopyButton } from '../../ui/CopyButton';
import type { ScreenProps } from '../../ui/screen-props';
import { Screen } from '../../ui/Screen';
import { Events, type Format } from './Events';
import { PublishForm } from './PublishForm';
import { SubscribeForm } from './SubscribeForm';
import { readExploration, writeExploration } from './topics';

/** Follows any topics, and publishes to them. The topics are in the address. */
export default function Explorer({ query, setQuery }: ScreenProps) {
  const exploration = readExploration(query);
  const { topics, events } = exploration;
  const [format, setFormat] = useState<Format>('pretty');

  /** An event type that one publishes is one that one wants to see. */
  function listenTo(type: string) {
    if (type === '' || events.includes(type)) return;
    setQuery(writeExploration({ ...exploration, events: [...events, type] }));
  }

  return (
    <Screen
      title="Explorer"
      actions={
        topics.length > 0 && (
          <p className="flex items-center gap-2 text-sm text-muted">
            Share this address
            <CopyButton text={window.location.href} what="the address" />
          </p>
        )
      }
    >
      <div className="grid items-start gap-4 lg:grid-cols-[minmax(0,1fr)_22rem]">
        <div className="min-w-0 space-y-4">
          <SubscribeForm
            exploration={exploration}
            onChange={(next) =>
              setQuery(writeExploration(next), next.topics.length !== topics.length)
            }
          />
          {topics.length > 0 ? (
            <Events
              key={topics.join()} // a pause is of what one has paused
              exploration={exploration}
              format={format}
              onFormat={setFormat}
            />
          ) : (
            <p className="p-6 text-center text-sm text-muted">
              Add a topic to see what comes on it: a channel, a stream, or keys.
            </p>
          )}
        </div>
        <PublishForm topics={topics} onPublish={listenTo} />
      </div>
    </Screen>
  );
}
