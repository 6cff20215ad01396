import { expect, it } from 'vitest';
import { newSubscription as state } from '../../../../test/subscription-state';
import { collectLatest } from './latest.js';

it('keeps a bounded number of deleted keys, the newest', () => {
  const collector = collectLatest();
  const change = (topic: string, type: string) =>
    collector.onEntry({ kind: 'message', id: '', seq: 1, receivedAt: 1, topic, type, data: '1' });
  change('key:a', 'message');
  for (let n = 1; n <= 1_000; n++) {
    change(`key:${n}`, 'message');
    change(`key:${n}`, 'key.deleted');
  }
  change('key:1000', 'message');
  const names = [...collector.read(state).keys()];
  expect(names.slice(0, 2)).toEqual(['key:a', 'key:701']);
  expect(names).toHaveLength(301);
});
