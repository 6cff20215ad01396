import { describe, expect, it } from 'vitest';
import { withCursor } from './url';

describe('withCursor', () => {
  it.each([
    ['/events', '', '/events'],
    ['/events', '17-0', '/events?lastEventId=17-0'],
    [
      'http://h:1/events?channel=a',
      'a@b&c=d',
      'http://h:1/events?channel=a&lastEventId=a%40b%26c%3Dd',
    ],
  ])('%s with the cursor %j is %s', (url, cursor, expected) => {
    expect(withCursor(url, cursor)).toBe(expected);
  });
});
