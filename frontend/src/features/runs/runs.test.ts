import type { Entry } from '@sluice/client';
import { describe, expect, it } from 'vitest';
import { namedRuns } from './runs';

const named = (data: string, at: number, type = 'message'): Entry => ({
  ...{ kind: 'message', topic: 'key:run:latest', id: String(at), type, data },
  ...{ seq: at, receivedAt: at },
});

describe('namedRuns', () => {
  it('lists the runs, the newest first, each once', () => {
    const entries = [
      named('stream:run:1', 1),
      named('stream:run:2', 2),
      named('null', 3, 'key.deleted'),
      named('no topic', 4),
      named('stream:run:1', 5),
    ];
    expect(namedRuns(entries)).toEqual([
      { topic: 'stream:run:1', at: 5 },
      { topic: 'stream:run:2', at: 2 },
    ]);
  });
});
