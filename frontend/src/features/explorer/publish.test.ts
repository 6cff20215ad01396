import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, it } from 'vitest';
import { publish } from './publish';

let stop: (() => void) | undefined;
afterEach(() => stop?.());

async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  stop = () => {
    server.closeAllConnections();
    server.close();
  };
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

it('sends the data unchanged, and returns the id', async () => {
  const requests: string[] = [];
  const gateway = await serve((request, response) => {
    let body = '';
    request.on('data', (chunk) => (body += String(chunk)));
    request.on('end', () => {
      const { method, url, headers } = request;
      requests.push(`${method} ${url} ${headers.authorization}\n${body}`);
      response.end('{"topic":"stream:s","id":"7-0"}');
    });
  });
  const publication = { topic: 'stream:s', data: ' a\nß ', event: 'e', maxlen: '9' };
  expect(await publish(publication, gateway, { Authorization: 'Bearer t' })).toEqual({
    ...{ kind: 'published', topic: 'stream:s', id: '7-0' },
  });
  expect(requests).toEqual(['POST /events?stream=s&event=e&maxlen=9 Bearer t\n a\nß ']);
});

it.each([
  [
    401,
    '{"title":"Unauthorized","detail":"channel:a is not open."}',
    'Unauthorized (401): channel:a is not open.',
  ],
  [503, '{}', 'The gateway refused (503).'],
])('says in the words of the gateway why it was refused (%d)', async (status, body, reason) => {
  const gateway = await serve((_, response) => response.writeHead(status).end(body));
  expect(await publish({ topic: 'channel:a', data: '' }, gateway, {})).toEqual({
    kind: 'failed',
    reason,
  });
});

it('fails with an explanation without an answer, and if the answer is not of a gateway', async () => {
  const gateway = await serve((_, response) => response.end('<html>'));
  expect(await publish({ topic: 'channel:a', data: '' }, gateway, {})).toMatchObject({
    kind: 'failed',
  });
  stop?.();
  expect(await publish({ topic: 'channel:a', data: '' }, gateway, {})).toMatchObject({
    reason: expect.stringContaining(`The gateway at ${gateway} does not answer`) as string,
  });
});
