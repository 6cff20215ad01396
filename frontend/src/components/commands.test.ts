import { describe, expect, it } from 'vitest';
import { publishCommands } from './commands';

const url = 'http://localhost:4000/events?channel=updates';

const texts = (...topics: string[]) => publishCommands(topics, url).map(({ text }) => text);

describe('publishCommands', () => {
  it.each([
    ['channel:updates', `redis-cli PUBLISH updates '{"value":42}'`, 'channel=updates'],
    ['stream:orders', `redis-cli XADD orders '*' data '{"value":42}'`, 'stream=orders'],
    ['key:price:BTC', `redis-cli SET price:BTC '{"value":42}'`, 'key=price%3ABTC'],
    ['channel:two words', `redis-cli PUBLISH 'two words' '{"value":42}'`, 'channel=two+words'],
    ["channel:it's", String.raw`redis-cli PUBLISH 'it'\''s' '{"value":42}'`, 'channel=it%27s'],
    [String.raw`channel:\*`, `redis-cli PUBLISH '*' '{"value":42}'`, 'channel=*'],
  ])('for %s', (topic, redis, query) => {
    expect(texts(topic)).toEqual([
      redis,
      `curl -d '{"value":42}' 'http://localhost:4000/events?${query}'`,
    ]);
  });

  it('takes the first topic that can be published to', () => {
    expect(texts('channel:a.*', 'channel:b')[0]).toContain('PUBLISH b');
  });

  it('has none for globs, or without topics', () => {
    expect(texts('channel:*')).toEqual([]);
    expect(texts()).toEqual([]);
  });
});
