import { describe, expect, it } from 'vitest';
import { isGlob, mayOverlap, subscribedAs, topicOf } from './topic.js';

describe('topicOf', () => {
  it.each([
    ['channel:a@12', 'channel:a'],
    ['channel:a@1@2', 'channel:a'],
    ['channel:me%40home@12', 'channel:me@home'],
    ['channel:100%25@12', 'channel:100%'],
    ['channel:%C3%BCber@12', 'channel:über'],
    ['1763820000000-0', undefined],
    ['@12', undefined],
    ['%ZZ@12', undefined],
    ['', undefined],
  ])('finds in %j the topic %j', (id, topic) => {
    expect(topicOf(id)).toBe(topic);
  });
});

describe('isGlob', () => {
  it.each([
    ['channel:a.*', true],
    ['key:price:?TC', true],
    ['channel:[ab]', true],
    ['channel:\\*', false],
    ['stream:a*', false],
    ['channel:a', false],
  ])('says of %j: %j', (topic, glob) => {
    expect(isGlob(topic)).toBe(glob);
  });
});

describe('mayOverlap', () => {
  it.each([
    ['channel:a', 'channel:a', true],
    ['channel:a', 'channel:ab', false],
    ['channel:a', 'stream:a', false],
    ['channel:a.b', 'channel:a.*', true],
    ['channel:a.*', 'channel:a.b.*', true],
    ['channel:a.*', 'channel:b.*', false],
    ['channel:*', 'channel:anything', true],
    ['channel:*', 'key:anything', false],
    ['channel:\\*', 'channel:a', false],
    ['stream:a*', 'stream:ab', false],
    ['key:price:?TC', 'key:price:*', true],
  ])('says of %j and %j: %j', (a, b, expected) => {
    expect(mayOverlap(a, b)).toBe(expected);
    expect(mayOverlap(b, a)).toBe(expected);
  });
});

describe('subscribedAs', () => {
  const topics = ['channel:a', 'channel:prices.*', 'key:\\*x', 'stream:s'];
  it.each([
    ['channel:a', 'channel:a'],
    ['channel:prices.BTC', 'channel:prices.*'],
    ['key:\\*x', 'key:\\*x'],
    ['stream:s', 'stream:s'],
    ['channel:ab', undefined],
  ])('finds that %j came by %j', (origin, expected) => {
    expect(subscribedAs(origin, topics)).toBe(expected);
  });
});
