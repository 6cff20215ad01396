import { execFile } from 'node:child_process';
import { appendFile, cp, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { EventSource } from 'eventsource';
import { expect, test } from './fixtures';
import type { Gateway, Processes, Redis } from './processes';

const run = promisify(execFile);
const frontend = join(import.meta.dirname, '..');
const backend = join(frontend, '../backend');
const examples = join(backend, 'docs/examples');

/** Starts a Redis, and a gateway that opens topics of it. */
async function startBoth(processes: Processes, open: string[], webDir?: string) {
  const redis = await processes.startRedis();
  const gateway = await processes.startGateway({ redis, open, ...(webDir && { webDir }) });
  return { redis, gateway, env: { REDIS_URL: `redis://127.0.0.1:${redis.port}` } };
}

/** Copies an example and installs its packages. The copy keeps the example free of generated files. */
async function install(processes: Processes, example: string): Promise<string> {
  const directory = await processes.createDirectory(example);
  await cp(join(examples, example), directory, { recursive: true, filter: isSource });
  // Vite has set NODE_ENV to production in the tests, with which npm omits packages for development.
  const flags = ['--include=dev', '--prefer-offline', '--no-audit', '--no-fund'];
  await run('npm', ['ci', ...flags], { cwd: directory });
  return directory;
}

/** Whether a file is not one that a developer's own try has made. */
const isSource = (path: string) => !/\/(node_modules|dist|\.next)$/.test(path);

/** Builds a Go program; returns its path. */
async function buildGo(processes: Processes, program: string): Promise<string> {
  const path = join(await processes.createDirectory('go'), 'program');
  await run('go', ['build', '-o', path, program], { cwd: backend });
  return path;
}

/** Follows topics as a client does, until it is closed or all topics have ended. */
function follow(gateway: Gateway, query: string) {
  const source = new EventSource(`${gateway.url}/events?${query}`);
  const data: string[] = [];
  const followed = { data, end: '', lastId: '', close: () => source.close() };
  source.onmessage = (event) => {
    data.push(String(event.data));
    followed.lastId = event.lastEventId;
  };
  source.addEventListener('stream.end', (event) => {
    followed.end = String(event.data);
    source.close();
  });
  return followed;
}

async function expectExpiry(redis: Redis, key: string) {
  expect(Number(await redis.command('TTL', key))).toBeGreaterThan(3000);
}

test('the Python worker completes a run after its reader has left', async ({ processes }) => {
  const { redis, gateway, env } = await startBoth(processes, ['stream:run:*']);
  const args = [join(examples, 'python-worker/worker.py')];
  processes.startProgram({ command: 'python3', args, env });
  await redis.command('RPUSH', 'jobs', '{"id": "42", "prompt": "Say hello"}', '{"id": "43"}');

  const first = follow(gateway, 'stream=run:42&from=start');
  await expect.poll(() => first.data).not.toEqual([]);
  first.close();
  const second = follow(gateway, `stream=run:42&from=start&lastEventId=${first.lastId}`);
  await expect.poll(() => second.end).toBe('{}');
  expect([...first.data, ...second.data].join('')).toBe('The prompt has 2 words.');
  await expectExpiry(redis, 'run:42');

  const failed = follow(gateway, 'stream=run:43&from=start');
  await expect.poll(() => failed.end).toBe(`{"error": "KeyError('prompt')"}`);
});

test('the Go producer writes a run', async ({ processes }) => {
  const { redis, gateway, env } = await startBoth(processes, ['stream:run:*']);
  const command = await buildGo(processes, './docs/examples/go-producer');
  processes.startProgram({ command, args: ['run:42'], env });
  const answer = follow(gateway, 'stream=run:42&from=start');
  await expect.poll(() => answer.end).toBe('{"words":9}');
  expect(answer.data.join('')).toBe('A page that opens late shows the same answer.');
  await expectExpiry(redis, 'run:42');
});

/** Prepares each subscriber; returns the words that start it. */
const subscribers: Record<string, (processes: Processes) => Promise<[string, ...string[]]>> = {
  Python: () => Promise.resolve(['python3', join(examples, 'python-subscriber/subscriber.py')]),
  Go: async (processes) => [await buildGo(processes, './docs/examples/go-subscriber')],
  'Node.js': async (processes) => [
    'node',
    join(await install(processes, 'node-subscriber'), 'subscriber.js'),
  ],
};

for (const [language, prepare] of Object.entries(subscribers)) {
  test(`the ${language} subscriber resumes after the gateway was away`, async ({ processes }) => {
    const [command, ...words] = await prepare(processes);
    const { redis, gateway } = await startBoth(processes, ['stream:orders']);
    const args = [...words, `${gateway.url}/events?stream=orders&from=start`];
    const { output } = processes.startProgram({ command, args });
    const orders = () => output().match(/(?<=order\.created )\d+/g) ?? [];
    const order = (n: number) =>
      redis.command('XADD', 'orders', '*', 'event', 'order.created', 'data', String(n));

    await order(1);
    await expect.poll(orders).toEqual(['1']);
    await gateway.kill();
    await order(2);
    await gateway.restart();
    await expect.poll(orders).toEqual(['1', '2']);
    await order(3);
    await expect.poll(orders).toEqual(['1', '2', '3']);
  });
}

test('Laravel Echo receives events that Laravel publishes', async ({ processes }) => {
  const directory = await install(processes, 'laravel-echo');
  const { redis, gateway } = await startBoth(processes, ['channel:laravel-database-*']);
  const args = [join(directory, 'listen.js'), gateway.url];
  const { output } = processes.startProgram({ command: 'node', args });
  const broadcast = (channel: string, event: string, data: object) =>
    redis.publish(`laravel-database-${channel}`, JSON.stringify({ event, data, socket: null }));

  await expect(async () => {
    await broadcast('orders', 'App\\Events\\OrderShipped', { id: 9 });
    expect(output()).toContain('shipped 9');
  }).toPass();
  await expect(async () => {
    await broadcast('private-user.7', 'invoice.paid', { total: 20 });
    expect(output()).toContain('paid 20');
  }).toPass();
  await broadcast('orders', 'App\\Events\\OrderCancelled', { id: 10 });
  await broadcast('orders', 'App\\Events\\OrderShipped', { id: 11 });
  await expect.poll(output).toContain('shipped 11');
  expect(output()).not.toContain('10');
});

test('lines of a log arrive, also after a rotation', async ({ processes }) => {
  const { gateway, env } = await startBoth(processes, ['stream:logs']);
  const directory = await processes.createDirectory('log');
  const log = join(directory, 'any.log');
  const publisher = await buildGo(processes, './cmd/publisher');
  const pipeline = `tail -n 0 -F any.log | ${publisher} --stdin stream:logs`;
  await appendFile(log, 'old\n');
  processes.startProgram({ command: 'sh', args: ['-c', pipeline], cwd: directory, env });
  const logs = follow(gateway, 'stream=logs&from=start');

  // Lines that are older than tail do not arrive.
  await expect(async () => {
    await appendFile(log, 'start\n');
    expect(logs.data).toContain('start');
  }).toPass();
  await appendFile(log, 'one\ntwo\n');
  await expect.poll(() => logs.data.filter((line) => line !== 'start')).toEqual(['one', 'two']);
  await rename(log, join(directory, 'any.log.1'));
  await appendFile(log, 'three\n');
  await expect.poll(() => logs.data.at(-1)).toBe('three');
  logs.close();
});

test('BullMQ: progress and result of a job arrive', async ({ processes }) => {
  const { gateway, env } = await startBoth(processes, ['key:bull:email:*', 'stream:bull:email:*']);
  const directory = await install(processes, 'bullmq');
  const start = (...args: string[]) =>
    processes.startProgram({ command: 'node', args, cwd: directory, env });
  const job = follow(gateway, 'key=bull:email:1');
  const events = follow(gateway, 'stream=bull:email:events&from=start');
  const { output } = start('queue.js', 'ada@example.com');
  await expect.poll(output).toBe('key:bull:email:1\n');
  await expect.poll(() => job.data.length).toBeGreaterThan(0);
  start('worker.js');

  const newest = () => JSON.parse(job.data.at(-1) ?? '') as unknown;
  await expect.poll(newest).toMatchObject({
    ...{ data: '{"to":"ada@example.com"}', name: 'welcome' },
    ...{ progress: '100', returnvalue: '"sent"' },
  });
  const parsed = () => events.data.map((data) => JSON.parse(data) as unknown);
  await expect
    .poll(parsed)
    .toEqual(
      expect.arrayContaining([
        ...['25', '50', '75', '100'].map((data) => ({ event: 'progress', jobId: '1', data })),
        { event: 'completed', jobId: '1', prev: 'active', returnvalue: '"sent"' },
      ]),
    );
  job.close();
  events.close();
});

test('the static page shows the events of Turbo, htmx and an EventSource', async ({
  context,
  processes,
}) => {
  const directory = await install(processes, 'static-page');
  await run('npm', ['run', 'build'], { cwd: directory });
  const channels = ['turbo', 'price', 'updates'];
  const { redis, gateway } = await startBoth(
    processes,
    channels.map((channel) => `channel:${channel}`),
    join(directory, 'dist'),
  );
  // The console reports that the page has no icon, and that the style of Turbo's progress bar is blocked.
  const page = await context.newPage();
  // The gateway answers when the channels are live, so nothing that is published later is missed.
  const live = channels.map((channel) =>
    page.waitForResponse(`${gateway.url}/events?channel=${channel}`),
  );
  await page.goto(gateway.url);
  await Promise.all(live);

  const item = (n: number) =>
    `<turbo-stream action="append" target="orders"><template><li>Order ${n}</li></template></turbo-stream>`;
  await redis.publish('turbo', item(9));
  await redis.publish('turbo', item(10));
  await expect(page.getByRole('listitem')).toHaveText(['Order 9', 'Order 10']);
  await redis.publish('price', '<b>101.5</b>');
  await expect(page.locator('#price b')).toHaveText('101.5');
  await redis.publish('updates', '<i>plain</i>');
  await expect(page.locator('#update')).toHaveText('<i>plain</i>');
});

test.describe('Next.js', () => {
  // The page has no icon.
  test.use({ expectNetworkErrors: true });

  test('the chat continues an answer after a reload', async ({ page, processes }) => {
    test.slow(); // installs and builds an app
    const { redis, gateway, env } = await startBoth(processes, ['stream:run:*']);
    const directory = await install(processes, 'nextjs-chat');
    const packed = process.env.SLUICE_CLIENT_PACKAGE ?? '';
    const flags = ['--no-save', '--include=dev', '--prefer-offline', '--no-audit', '--no-fund'];
    await run('npm', ['install', ...flags, packed], { cwd: directory });
    const settings = { NEXT_TELEMETRY_DISABLED: '1', NEXT_PUBLIC_SLUICE_URL: gateway.url };
    await run('npm', ['run', 'build'], { cwd: directory, env: { ...process.env, ...settings } });

    // The pause of Redis below must begin before the answer is complete.
    const slow = { CHUNK_DELAY: '2000' };
    await page.goto(await processes.startNext(directory, { ...env, ...settings, ...slow }));
    const answer = page.locator('[data-role="assistant"]');
    await page.getByRole('textbox', { name: 'Prompt' }).fill('Hello?');
    await page.getByRole('button', { name: 'Send' }).click();
    await expect(answer).toHaveText(/^A reload/);
    // The model waits for Redis, so the reload is in the middle of the answer.
    await redis.command('CLIENT', 'PAUSE', '600000', 'WRITE');
    await page.reload();
    await expect(answer).toHaveText(/^A reload/);
    await expect(answer).not.toHaveText(/answer\.$/);
    await redis.command('CLIENT', 'UNPAUSE');
    await expect(answer).toHaveText('A reload in the middle continues this answer.');
    await expect(page.getByRole('list')).toHaveAttribute('aria-busy', 'false');
  });
});
