import { screen } from '@testing-library/react';
import { expect, it } from 'vitest';
import { eventually } from '../../test/eventually';
import { FakeEventSource } from '../../test/fake-event-source';
import { fakeClient, renderWithClient } from '../../test/tab';
import { useStream } from '@sluice/client/react';
import { TopicGate } from './TopicGate';

function Topic({ name }: { name: string }) {
  const stream = useStream(`channel:${name}`);
  return (
    <section aria-label={name}>
      <TopicGate stream={stream} isEmpty={stream.received === 0}>
        content
      </TopicGate>
    </section>
  );
}

it('waits for its own topic, however those of the other parts of the page are', async () => {
  const client = fakeClient();
  renderWithClient(<Topic name="a" />, client);
  (await eventually(() => FakeEventSource.current)).open({ id: '0' });
  expect(await screen.findByText('Waiting for the first event')).toBeInTheDocument();
  // Another part's topic is on its way.
  renderWithClient(<Topic name="b" />, client);
  expect(await screen.findByText('Waiting for data…')).toBeInTheDocument();
  expect(screen.getByRole('region', { name: 'a' })).toHaveTextContent('Waiting for the first');
  expect(screen.getByRole('region', { name: 'b' })).toHaveTextContent('Waiting for data');
});
