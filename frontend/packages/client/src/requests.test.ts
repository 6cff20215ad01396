import { expect, it, vi } from 'vitest';
import { createRequests } from './requests.js';
import type { Report } from './sharing/multiplexer.js';

const follow = (topic: string) => ({
  ...{ topic, every: '', last: 0, types: [], from: undefined },
  ...{ onItem: vi.fn(), onServed: vi.fn(), onDefaults: vi.fn() },
});

const refusal = { status: 401, detail: 'expired' };

function createState(tokenRefusal?: typeof refusal): Report {
  return { kind: 'state', state: { channels: new Map(), tokenRefusal } };
}

function createJoined(key = 0): Report {
  const position = { offset: { era: '', number: 0 }, cursor: undefined };
  return { kind: 'joined', key, channel: '1', position, items: [] };
}

it('reports no refusal of the token before', () => {
  const requests = createRequests(vi.fn(), vi.fn());
  requests.add(follow('channel:a'));
  const join = () => createJoined(requests.all()[0]?.key);
  requests.receive([createState(refusal), join()]);
  expect(requests.status().tokenRefusal).toEqual(refusal);
  requests.renew();
  expect(requests.status().tokenRefusal).toBeUndefined();
  // The host posted these before it received the new token.
  requests.receive([createState(refusal), createJoined(1)]);
  expect(requests.status().tokenRefusal).toBeUndefined();
  requests.receive([createState(), join()]);
  expect(requests.status().tokenRefusal).toBeUndefined();
  requests.receive([createState(refusal)]);
  expect(requests.status().tokenRefusal).toEqual(refusal);
});
