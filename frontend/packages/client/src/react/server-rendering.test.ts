import { createElement } from 'react';
import { renderToString } from 'react-dom/server';
import { expect, it } from 'vitest';
import { createStreamClient } from '../client.js';
import {
  StreamProvider,
  useLatest,
  useRun,
  useSeries,
  useStream,
  useStreamStatus,
} from './index.js';

const select = (value: number) => value;

const hooks: Record<string, () => unknown> = {
  useStream: () => useStream('channel:a').entries.length,
  useLatest: () => useLatest('key:a').size,
  useSeries: () => useSeries('channel:a', select).names.length,
  useRun: () => useRun('stream:a').status,
  useStreamStatus: () => useStreamStatus().status.phase,
};

it.each(Object.keys(hooks))('%s renders on a server', (name) => {
  const client = createStreamClient('/');
  const Shown = () => createElement('p', null, String(hooks[name]?.()));
  const html = renderToString(createElement(StreamProvider, { client }, createElement(Shown)));
  expect(html).toMatch(/^<p>(0|waiting|connecting)<.p>$/);
});
