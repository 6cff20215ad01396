import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';

/** One request to the server. A test can inspect it, and write to it. */
export interface Visit {
  readonly url: URL;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** Resolves when the client has gone. */
  readonly gone: Promise<void>;
}

export interface SSEServer extends AsyncDisposable {
  readonly origin: string;
  /** All visits so far. */
  readonly visits: readonly Visit[];
  /** The next visit that no earlier call has returned; waits for it. */
  nextVisit: () => Promise<Visit>;
  /** Connections that are open at this moment. */
  openConnections: () => Promise<number>;
}

/** Starts a real HTTP server on a free loopback port, with one path for each behaviour. */
export async function startSSEServer(): Promise<SSEServer> {
  const visits: Visit[] = [];
  const waiting: ((visit: Visit) => void)[] = [];
  const unread: Visit[] = [];
  const failedOnce = new Set<string>();

  const server = createServer((request, response) => {
    const visit = describeVisit(request, response);
    visits.push(visit);
    const taker = waiting.shift();
    if (taker) taker(visit);
    else unread.push(visit);
    answer(visit, failedOnce);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));

  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    visits,
    nextVisit: () => {
      const visit = unread.shift();
      return visit ? Promise.resolve(visit) : new Promise((resolve) => waiting.push(resolve));
    },
    openConnections: () =>
      new Promise((resolve, reject) => {
        server.getConnections((error, count) => {
          if (error) reject(error);
          else resolve(count);
        });
      }),
    [Symbol.asyncDispose]: async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}

function describeVisit(...[request, response]: Parameters<RequestListener>): Visit {
  return {
    url: new URL(request.url ?? '/', 'http://localhost'),
    request,
    response,
    gone: new Promise((resolve) => response.once('close', resolve)),
  };
}

function answer(visit: Visit, failedOnce: Set<string>) {
  const { url, response } = visit;
  // A gateway at `/three` has its events at `/three/events`.
  switch (url.pathname.replace(/(.)\/events$/, '$1')) {
    case '/events':
      open(visit);
      return;
    case '/three':
      writeThree(visit);
      return;
    case '/bad-gateway-once':
      if (!failedOnce.has(url.pathname)) {
        failedOnce.add(url.pathname);
        response.writeHead(502, { 'Content-Type': 'text/html' }).end('<h1>Bad gateway</h1>');
        return;
      }
      writeThree(visit);
      return;
    case '/forbidden':
      response.writeHead(403, { 'Content-Type': 'application/problem+json' }).end(
        JSON.stringify({
          title: 'Forbidden',
          status: 403,
          detail: 'channel:secret is not open.',
        }),
      );
      return;
    case '/cut-problem':
      response.writeHead(409, { 'Content-Type': 'application/problem+json' }).end('{"detail":');
      return;
    case '/web-page':
      response.writeHead(200, { 'Content-Type': 'text/html' }).end('<!doctype html>');
      return;
    case '/hanging':
      return;
    case '/silent':
      response.writeHead(200, { 'Content-Type': 'text/event-stream' }).flushHeaders();
      return;
    default:
      response.writeHead(404).end();
  }
}

/** Answers as the gateway does: headers, then `stream.open`; stays open. */
function open({ url, response }: Visit) {
  response.writeHead(200, { 'Content-Type': 'text/event-stream' });
  const cursor = url.searchParams.get('lastEventId');
  response.write(
    encode({
      event: 'stream.open',
      id: cursor ?? '0',
      data: JSON.stringify({ topics: ['channel:updates'], resumed: cursor !== null, node: 'test' }),
    }),
  );
}

/** Sends the three events after the cursor, then ends the connection. */
function writeThree(visit: Visit) {
  open(visit);
  const after = Number(visit.url.searchParams.get('lastEventId')?.split('@').at(-1) ?? 0);
  for (let n = after + 1; n <= after + 3; n++) {
    visit.response.write(encode({ id: String(n), data: `event ${n}` }));
  }
  visit.response.end();
}

/** Writes an event in the wire format. */
export function encode({ event, id, data }: { event?: string; id?: string; data: string }): string {
  const lines = data.split('\n').map((line) => `data: ${line}\n`);
  if (id !== undefined) lines.unshift(`id: ${id}\n`);
  if (event !== undefined) lines.unshift(`event: ${event}\n`);
  return `${lines.join('')}\n`;
}
