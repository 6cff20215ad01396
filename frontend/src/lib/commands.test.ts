import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { curlCommand, publishCommands, redisCommand } from './commands';

const url = 'http://localhost:4000/events?channel=updates';

const texts = (...topics: string[]) => publishCommands(topics, url).map(({ text }) => text);

describe('publishCommands', () => {
  it.each([
    ['channel:updates', `redis-cli PUBLISH updates '{"value":42}'`, 'channel=updates'],
    ['stream:orders', `redis-cli XADD orders '*' data '{"value":42}'`, 'stream=orders'],
    ['key:price:BTC', `redis-cli SET price:BTC '{"value":42}'`, 'key=price%3ABTC'],
    ['channel:two words', `redis-cli PUBLISH 'two words' '{"value":42}'`, 'channel=two+words'],
    ["channel:it's", String.raw`redis-cli PUBLISH 'it'\''s' '{"value":42}'`, 'channel=it%27s'],
    [String.raw`channel:\*`, `redis-cli PUBLISH '*' '{"value":42}'`, 'channel=%5C*'],
  ])('for %s', (topic, redis, query) => {
    expect(texts(topic)).toEqual([
      redis,
      `curl -d '{"value":42}' 'http://localhost:4000/events?${query}'`,
    ]);
  });

  it('uses the first topic that can be published to', () => {
    expect(texts('channel:a.*', 'channel:b')[0]).toContain('PUBLISH b');
  });

  it('has none for globs, or without topics', () => {
    expect(texts('channel:*')).toEqual([]);
    expect(texts()).toEqual([]);
  });

  it('publishes an example, to its own topic where only a glob covers that', () => {
    const example = { topic: 'key:price:BTC', data: '101.5' };
    const [redis] = publishCommands(['key:price:*'], url, example);
    expect(redis?.text).toBe('redis-cli SET price:BTC 101.5');
    const [other] = publishCommands(['key:a'], url, example);
    expect(other?.text).toBe('redis-cli SET a 101.5');
    expect(publishCommands(['key:stock:*'], url, example)).toEqual([]);
  });
});

/** The words that a shell makes of a command line. */
function words(command: string | undefined): string[] {
  const script = `for word in ${command ?? ''}; do printf '%s\\0' "$word"; done`;
  return execFileSync('sh', ['-c', script], { encoding: 'utf8' }).split('\0').slice(0, -1);
}

describe('a command for a publication', () => {
  it.each([
    '',
    ' ',
    "it's",
    '$HOME `id` $(id)',
    'a"b\\c',
    'two\nlines',
    '-x',
    '*',
    '~',
    '#!',
    'größer 😀',
  ])('hands %j to the program as it is', (data) => {
    expect(words(redisCommand({ topic: 'channel:c', data }))).toEqual([
      'redis-cli',
      'PUBLISH',
      'c',
      data,
    ]);
    expect(words(curlCommand({ topic: 'channel:c', data }, url))).toEqual([
      ...['curl', '-d', data, 'http://localhost:4000/events?channel=c'],
    ]);
  });

  it('has the type and the length of a stream', () => {
    const publication = { topic: 'stream:s', data: 'x', event: 'order created', maxlen: '50' };
    expect(words(redisCommand(publication))).toEqual([
      ...[
        'redis-cli',
        'XADD',
        's',
        'MAXLEN',
        '~',
        '50',
        '*',
        'data',
        'x',
        'event',
        'order created',
      ],
    ]);
    expect(words(curlCommand(publication, url)).at(-1)).toBe(
      'http://localhost:4000/events?stream=s&event=order+created&maxlen=50',
    );
  });

  it('leaves those out for other kinds', () => {
    const publication = { topic: 'key:k', data: 'x', event: 'e', maxlen: '5' };
    expect(redisCommand(publication)).toBe('redis-cli SET k x');
    expect(curlCommand(publication, url)).toBe(`curl -d x 'http://localhost:4000/events?key=k'`);
  });

  it('does not let curl take the data for the name of a file', () => {
    expect(curlCommand({ topic: 'channel:c', data: '@/etc/hosts' }, url)).toContain(
      "--data-raw '@/etc/hosts'",
    );
  });

  it('does not exist for text that is not a topic', () => {
    expect(redisCommand({ topic: 'channel:', data: '' })).toBeUndefined();
    expect(curlCommand({ topic: 'updates', data: '' }, url)).toBeUndefined();
  });
});
