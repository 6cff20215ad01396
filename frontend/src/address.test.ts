import { describe, expect, it } from 'vitest';
import { gatewayURL, subscriptionURL } from './address';

const env = { BASE_URL: '/', MODE: 'test', DEV: false, PROD: true, SSR: false };

describe('gatewayURL', () => {
  it('is what VITE_API_URL says', () => {
    expect(gatewayURL({ ...env, VITE_API_URL: 'https://live.example/' })).toBe(
      'https://live.example',
    );
  });

  it('is otherwise the local gateway in development, and the page’s own in production', () => {
    const dev = { ...env, DEV: true, PROD: false };
    expect(gatewayURL(dev)).toBe('http://localhost:4000');
    expect(gatewayURL({ ...dev, VITE_API_URL: '' })).toBe('http://localhost:4000');
    expect(gatewayURL(env)).toBe('');
  });
});

describe('subscriptionURL', () => {
  it.each([
    ['', '/events'],
    ['?', '/events'],
    ['?utm_source=mail', '/events'],
    ['?channel=a&channel=b.*&stream=s&key=k:*', '/events?channel=a&channel=b.*&stream=s&key=k%3A*'],
    ['?channel=a&last=10&every=1s', '/events?channel=a&last=10&every=1s'],
    ['?channel=a&lastEventId=7&access_token=secret', '/events?channel=a'],
    ['?channel=a%26b', '/events?channel=a%26b'],
  ])('of the page %j is %s', (search, url) => {
    expect(subscriptionURL('', search)).toBe(url);
    expect(subscriptionURL('http://localhost:4000', search)).toBe(`http://localhost:4000${url}`);
  });
});
