import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer as createHTTPServer, request } from 'node:http';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);
const frontend = join(import.meta.dirname, '..');

/** A process that a test can kill and restart at the same address. */
interface Service {
  readonly port: number;
  /** Ends the process at once, without a chance to say goodbye. */
  kill: () => Promise<void>;
  /** Starts it again on the same port, and waits until it is ready. */
  restart: () => Promise<void>;
}

/** The gateway. */
export interface Gateway extends Service {
  readonly url: string;
  /** Publishes over HTTP. */
  publish: (channel: string, data: string) => Promise<void>;
  /** Publishes many events with one request. */
  publishAll: (channel: string, data: readonly string[]) => Promise<void>;
  /** How many subscriptions are open. */
  connections: () => Promise<number>;
}

/** A Redis of the test's own. */
export interface Redis extends Service {
  /** Publishes as a user would, with redis-cli. */
  publish: (channel: string, data: string) => Promise<void>;
  /** Runs one command with redis-cli; returns what that prints. */
  command: (...words: string[]) => Promise<string>;
  /** Sends many commands without waiting for the replies. */
  pipe: (commands: Iterable<readonly string[]>) => Promise<void>;
}

/** See {@link Processes.startProgram}. */
export interface Running {
  /** Returns all that the program has printed so far, errors too. */
  readonly output: () => string;
}

/** See {@link Processes.startProxy}. */
export interface Proxy {
  readonly url: string;
  readonly subscriptions: readonly URL[];
}

/** Starts real processes for a test, on free loopback ports. */
export class Processes {
  readonly #cleanups: (() => Promise<void>)[] = [];

  /**
   * Starts the gateway with the built app; on its embedded broker unless a Redis is given, and with the
   * topics open that every screen asks for. `webDir` is the directory of another build.
   */
  async startGateway({
    redis,
    open = ['channel:updates', 'stream:notifications'],
    webDir = join(frontend, 'dist'),
    flags = [],
  }: {
    redis?: Redis;
    open?: string[];
    webDir?: string;
    flags?: string[];
  } = {}): Promise<Gateway> {
    const port = await freePort();
    const url = `http://127.0.0.1:${port}`;
    const service = await this.#start(port, {
      command: required('SLUICE_SERVER'),
      args: [
        ...['--addr', `127.0.0.1:${port}`],
        ...['--admin-addr', '127.0.0.1:0'],
        ...['--redis-url', redis ? `redis://127.0.0.1:${redis.port}` : ''],
        ...['--web-dir', webDir],
        ...['--allow-subscribe', open.join(',')],
        ...['--allow-publish', 'channel:*'],
        ...flags,
      ],
      isReady: () => answers(`${url}/${redis ? 'readyz' : 'healthz'}`),
    });
    return {
      ...service,
      url,
      publish: (channel, data) => post(url, channel, data),
      publishAll: (channel, data) => post(url, channel, data.join('\n'), 'application/x-ndjson'),
      connections: async () => {
        const response = await fetch(`${url}/stats`);
        return ((await response.json()) as { connections: number }).connections;
      },
    };
  }

  async startRedis(): Promise<Redis> {
    const port = await freePort();
    const directory = await this.createDirectory('redis');
    const cli = (...args: string[]) => run('redis-cli', ['-p', String(port), ...args]);
    const service = await this.#start(port, {
      command: 'redis-server',
      args: [
        '--port',
        String(port),
        '--bind',
        '127.0.0.1',
        '--dir',
        directory,
        '--save',
        '',
        '--appendonly',
        'no',
      ],
      isReady: async () => (await cli('PING')).stdout.trim() === 'PONG',
    });
    return {
      ...service,
      publish: async (channel, data) => {
        // The data goes in by standard input: an argument has a limit far below 1 MiB.
        const publishing = cli('-x', 'PUBLISH', channel);
        publishing.child.stdin?.end(data);
        await publishing;
      },
      command: async (...words) => (await cli(...words)).stdout.trim(),
      pipe: async (commands) => {
        const piping = cli('--pipe');
        for (const words of commands) piping.child.stdin?.write(encodeCommand(words));
        piping.child.stdin?.end();
        const { stdout } = await piping;
        if (!stdout.includes('errors: 0')) throw new Error(`redis-cli --pipe: ${stdout}`);
      },
    };
  }

  /** Builds the app for a gateway of another origin; returns the directory of the build. */
  async buildApp(gateway: Gateway): Promise<string> {
    const directory = await this.createDirectory('app');
    const env = { ...process.env, VITE_API_URL: gateway.url };
    await run('npx', ['vite', 'build', '--outDir', directory], { cwd: frontend, env });
    return directory;
  }

  /** Starts `npm run dev` for a gateway; returns the page's URL. */
  async startDevServer(gateway: Gateway): Promise<string> {
    const port = await freePort();
    const url = `http://127.0.0.1:${port}`;
    await this.#start(port, {
      command: 'npm',
      args: ['run', 'dev', '--', '--host', '127.0.0.1', '--port', String(port)],
      env: { VITE_API_URL: gateway.url },
      isReady: () => answers(url),
    });
    return url;
  }

  /** Starts an app that `next build` has built in a directory; returns the page's URL. */
  async startNext(directory: string, env: Program['env'] = {}): Promise<string> {
    const port = await freePort();
    const url = `http://127.0.0.1:${port}`;
    await this.#start(port, {
      command: join(directory, 'node_modules/.bin/next'),
      args: ['start', '--hostname', '127.0.0.1', '--port', String(port)],
      cwd: directory,
      env,
      isReady: () => answers(url),
    });
    return url;
  }

  /** Starts a program that listens on no port. */
  startProgram(program: Omit<Program, 'isReady'>): Running {
    const running = spawnProgram(program);
    this.#cleanups.push(() => killGroup(running.child));
    return running;
  }

  /** Creates a temporary directory, which is removed when the test ends. */
  async createDirectory(name: string): Promise<string> {
    const directory = await mkdtemp(join(tmpdir(), `sluice-${name}-`));
    this.#cleanups.push(() => rm(directory, { recursive: true }));
    return directory;
  }

  /** Starts nginx, which serves a gateway below a path such as `/live/`; returns the URL of the path. */
  async startNginx(gateway: Gateway, path: string): Promise<string> {
    const port = await freePort();
    const url = `http://127.0.0.1:${port}${path}`;
    const directory = await this.createDirectory('nginx');
    const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
      .map((kind) => `${kind}_temp_path ${directory}/${kind};`)
      .join('\n');
    const config = join(directory, 'nginx.conf');
    await writeFile(
      config,
      `daemon off; master_process off; pid ${directory}/pid; error_log stderr;
      events {}
      http {
        access_log off;
        ${temporary}
        server {
          listen 127.0.0.1:${port};
          location ${path} {
            proxy_pass ${gateway.url}/;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_buffering off;
          }
        }
      }`,
    );
    await this.#start(port, {
      command: 'nginx',
      args: ['-e', 'stderr', '-c', config],
      isReady: () => answers(url),
    });
    return url;
  }

  /** Starts a proxy in front of a gateway, which records the subscriptions that it passes on. */
  async startProxy(gateway: Gateway): Promise<Proxy> {
    const subscriptions: URL[] = [];
    const server = createHTTPServer((incoming, outgoing) => {
      const url = new URL(incoming.url ?? '/', gateway.url);
      const { method = 'GET', headers } = incoming;
      if (url.pathname === '/events' && method === 'GET') subscriptions.push(url);
      const passed = request(url, { method, headers }, (response) => {
        outgoing.writeHead(response.statusCode ?? 502, response.headers);
        outgoing.flushHeaders();
        response.pipe(outgoing);
      });
      passed.on('error', () => outgoing.destroy());
      outgoing.on('close', () => passed.destroy());
      incoming.pipe(passed);
    });
    const port = await freePort();
    await once(server.listen(port, '127.0.0.1'), 'listening');
    this.#cleanups.push(async () => {
      server.closeAllConnections();
      await once(server.close(), 'close');
    });
    return { url: `http://127.0.0.1:${port}`, subscriptions };
  }

  /** Ends everything that was started. */
  async stop(): Promise<void> {
    for (const cleanup of this.#cleanups.reverse()) await cleanup();
  }

  async #start(port: number, program: Program): Promise<Service> {
    let child = await startProgram(program);
    const kill = () => killGroup(child);
    this.#cleanups.push(kill);
    return {
      port,
      kill,
      restart: async () => {
        child = await startProgram(program);
      },
    };
  }
}

interface Program {
  readonly command: string;
  readonly args: readonly string[];
  /** The working directory. Default: that of the frontend. */
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly isReady: () => Promise<boolean>;
}

/** Starts a program, and waits until it is ready; fails with what it printed where it ends before. */
async function startProgram({ isReady, ...program }: Program): Promise<ChildProcess> {
  const { child, output } = spawnProgram(program);
  const deadline = Date.now() + 120_000;
  while (!(await isReady().catch(() => false))) {
    if (hasEnded(child) || Date.now() > deadline) {
      await killGroup(child);
      const { command, args } = program;
      throw new Error(`${command} ${args.join(' ')} did not become ready:\n${output()}`);
    }
    await delay(50);
  }
  return child;
}

function spawnProgram({ command, args, cwd = frontend, env }: Omit<Program, 'isReady'>) {
  // npm starts a shell that starts the program, so the whole process group has to be killed.
  const child = spawn(command, args, {
    cwd,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  let output = '';
  child.stdout.on('data', (chunk) => (output += String(chunk)));
  child.stderr.on('data', (chunk) => (output += String(chunk)));
  return { child, output: () => output };
}

async function killGroup(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || hasEnded(child)) return;
  const ended = once(child, 'exit');
  process.kill(-child.pid, 'SIGKILL');
  await ended;
}

function hasEnded({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null;
}

/** A command as Redis reads it (RESP): its words, each with its length in bytes. */
export function encodeCommand(words: readonly string[]): string {
  const bulk = words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`);
  return `*${words.length}\r\n${bulk.join('')}`;
}

async function answers(url: string): Promise<boolean> {
  return (await fetch(url)).ok;
}

async function post(
  url: string,
  channel: string,
  body: string,
  type = 'text/plain',
): Promise<void> {
  const query = new URLSearchParams({ channel }).toString();
  const headers = { 'Content-Type': type };
  const response = await fetch(`${url}/events?${query}`, { method: 'POST', headers, body });
  if (!response.ok) throw new Error(`publish: ${response.status} ${await response.text()}`);
}

/**
 * Each worker of Playwright has ports of its own, below those that Linux gives to outgoing connections (32768), so that
 * nothing else takes a port before the program of the test listens there, or while it is restarted.
 */
const PORTS_PER_WORKER = 1_000;
const firstPort = 12_000 + Number(process.env.TEST_PARALLEL_INDEX ?? 0) * PORTS_PER_WORKER;
let lastPort = randomInt(PORTS_PER_WORKER);

async function freePort(): Promise<number> {
  for (let tries = 0; tries < PORTS_PER_WORKER; tries++) {
    lastPort = (lastPort + 1) % PORTS_PER_WORKER;
    const port = firstPort + lastPort;
    if (await isFree(port)) return port;
  }
  throw new Error(`no port from ${firstPort} to ${firstPort + PORTS_PER_WORKER - 1} is free`);
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer().listen(port, '127.0.0.1');
  try {
    await once(server, 'listening');
  } catch {
    return false;
  }
  server.close();
  await once(server, 'close');
  return true;
}

function required(name: string): string {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set`);
  return value;
}
