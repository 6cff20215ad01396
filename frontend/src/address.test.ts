import { describe, expect, it } from 'vitest';
import { formatAddress, gatewayURL, parseTopics } from './address';

const env = { BASE_URL: '/', MODE: 'test', DEV: false, PROD: true, SSR: false };

describe('gatewayURL', () => {
  it('is the URL in VITE_API_URL', () => {
    expect(gatewayURL({ ...env, VITE_API_URL: 'https://live.example/' }, '/')).toBe(
      'https://live.example',
    );
  });

  it('is otherwise the local gateway in development, and that of the page in production', () => {
    const dev = { ...env, DEV: true, PROD: false };
    expect(gatewayURL(dev, '/')).toBe('http://localhost:4000');
    expect(gatewayURL({ ...dev, VITE_API_URL: '' }, '/')).toBe('http://localhost:4000');
    expect(gatewayURL(env, '/live/')).toBe('/live/');
  });
});

describe('parseTopics', () => {
  it.each([
    ['', ['stream:own']],
    ['?utm_source=mail', ['stream:own']],
    ['?channel=', ['stream:own']],
    [
      '?key=k:*&stream=s&channel=a&channel=b.*',
      ['channel:a', 'channel:b.*', 'stream:s', 'key:k:*'],
    ],
    ['?channel=a&channel=a', ['channel:a']],
    ['?channel=a%26b&last=10', ['channel:a&b']],
  ])('of the query %j are %j', (search, topics) => {
    expect(parseTopics(new URLSearchParams(search), ['stream:own'])).toEqual(topics);
  });
});

it('makes the address of a screen that follows a topic', () => {
  const address = formatAddress('/explorer', 'channel:a&b:c');
  expect(address).toBe('/explorer?channel=a%26b%3Ac');
  expect(parseTopics(new URLSearchParams(address.split('?')[1]), [])).toEqual(['channel:a&b:c']);
});
