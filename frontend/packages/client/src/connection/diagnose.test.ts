import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type SSEServer, startSSEServer } from '../../../../test/sse-server';
import { diagnose, isLasting } from './diagnose.js';

let server: SSEServer;

beforeEach(async () => {
  server = await startSSEServer();
});

afterEach(() => server[Symbol.asyncDispose]());

const ask = (path: string, signal = new AbortController().signal) =>
  diagnose(server.origin + path, signal);

describe('diagnose', () => {
  it('reads the problem document', async () => {
    expect(await ask('/forbidden')).toEqual({ status: 403, detail: 'channel:secret is not open.' });
  });

  it('gives the bare status where there is none', async () => {
    expect(await ask('/nowhere')).toEqual({ status: 404 });
  });

  it('keeps the status of a problem document that is not JSON', async () => {
    expect(await ask('/cut-problem')).toEqual({ status: 409 });
  });

  it('asks as an EventSource does', async () => {
    await ask('/forbidden');
    expect(server.visits[0]?.request.headers.accept).toBe('text/event-stream');
  });

  it('leaves no subscription behind where the server streams', async () => {
    expect(await ask('/events')).toBeUndefined();
    await (
      await server.nextVisit()
    ).gone;
  });

  it('ends when it is told to', async () => {
    const abort = new AbortController();
    const answer = ask('/hanging', abort.signal);
    const visit = await server.nextVisit();
    abort.abort();
    expect(await answer).toBeUndefined();
    await visit.gone;
  });

  it('learns nothing from a server that is not there', async () => {
    const { origin } = server;
    await server[Symbol.asyncDispose]();
    expect(await diagnose(origin, new AbortController().signal)).toBeUndefined();
    server = await startSSEServer();
  });
});

describe('isLasting', () => {
  it.each([
    [400, true],
    [401, true],
    [403, true],
    [404, true],
    [408, false],
    [429, false],
    [500, false],
    [502, false],
    [200, false],
  ])('says of %d: %j', (status, lasting) => {
    expect(isLasting({ status })).toBe(lasting);
  });
});
