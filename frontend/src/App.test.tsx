import { render, screen } from '@testing-library/react';
import { expect, it, vi } from 'vitest';
import { FakeEventSource } from '../test/fake-event-source';
import { App } from './App';

it('has the tutorial’s heading, and follows the address that it was given', () => {
  vi.stubGlobal('EventSource', FakeEventSource);
  render(<App eventsURL="/events?channel=a" />);
  const heading = screen.getByRole('heading', { level: 1 });
  expect(heading).toHaveTextContent('🚀 Real-Time Data Stream (SSE + React)');
  expect(screen.getByRole('main')).toContainElement(screen.getByRole('region'));
  expect(FakeEventSource.current.url).toBe('/events?channel=a');
});
