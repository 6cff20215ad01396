import { expect, it } from 'vitest';
import { entryID } from './entry-id';

it.each([
  ['stream:logs', '1795895996975-0.4w-fYY_', '1795895996975-0'],
  ['stream:logs', '1795895996975-0', '1795895996975-0'],
  ['stream:logs', 'stream:logs@1795895996975-0.4w-fYY_', '1795895996975-0'],
  ['stream:logs', 'stream:logs@NH5dR24=1795895996975-0.4w-fYY_,LSGFs=lju.1', '1795895996975-0'],
  ['stream:logs', 'stream:logs@NH5dR24=1795895996975-0.4w,LSGFs=1795895996976-0.3v', undefined],
  ['stream:9-9', 'stream:9-9@1795895996975-0.4w-fYY_', '1795895996975-0'],
  ['channel:a', 'Q_i6XXlDYOQ.f.ljumty7y.9.0', undefined],
])('finds the entry id of %s in %s', (topic, id, found) => {
  expect(entryID(topic, id)).toBe(found);
});
