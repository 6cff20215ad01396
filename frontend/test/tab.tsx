import { render, type RenderResult } from '@testing-library/react';
import type { ReactNode } from 'react';
import { createStreamClient, type StreamClient } from '@sluice/client';
import { StreamProvider } from '@sluice/client/react';
import { FakeEventSource } from './fake-event-source';

/** A client whose lines a test drives by {@link FakeEventSource}. */
export function fakeClient(token?: () => string | undefined): StreamClient {
  FakeEventSource.opened = [];
  sessionStorage.clear();
  return createStreamClient('http://localhost:4000', { EventSource: FakeEventSource, token });
}

/** Renders with a new client. */
export function renderWithClient(element: ReactNode, client = fakeClient()): RenderResult {
  return render(element, {
    wrapper: ({ children }) => <StreamProvider client={client}>{children}</StreamProvider>,
  });
}
