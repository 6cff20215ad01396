import { Fragment } from 'react';
import { expect, it, vi } from 'vitest';
import { createStreamClient } from '../client.js';
import { StreamProvider } from './use-client.js';

/** In React 19 a context is its own provider; in React 18 it is not, as here. */
vi.mock(import('react'), async (original) => {
  const react = await original();
  const createContext: typeof react.createContext = (value) =>
    Object.assign(react.createContext(value), { Provider: react.Fragment });
  return { ...react, createContext };
});

it('renders the provider of its context, which React 18 needs', () => {
  const client = createStreamClient('http://gateway');
  expect(StreamProvider({ client }).type).toBe(Fragment);
});
