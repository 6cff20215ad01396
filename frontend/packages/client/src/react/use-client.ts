import { createContext, createElement, type ReactNode, useContext } from 'react';
import type { StreamClient } from '../client.js';

const ClientContext = createContext<StreamClient | undefined>(undefined);

/** Gives a client to all components inside. */
export function StreamProvider({
  client,
  children,
}: {
  client: StreamClient;
  children?: ReactNode;
}) {
  return createElement(ClientContext.Provider, { value: client }, children);
}

/** The client of the nearest {@link StreamProvider}. */
export function useStreamClient(): StreamClient {
  const client = useContext(ClientContext);
  if (!client) throw new Error('useStreamClient needs a <StreamProvider> around it');
  return client;
}
