import type { Page } from '@playwright/test';
import { expectAccessible } from './axe';
import { expect, test } from './fixtures';
import type { Gateway, Processes, Redis } from './processes';
import { openScreen } from './screens';

const open = ['stream:run:*', 'key:run:latest', 'stream:notifications'];

/** A gateway on a Redis, in which the test writes runs as a producer would. */
async function start(processes: Processes) {
  const redis = await processes.startRedis();
  const gateway = await processes.startGateway({ redis, open });
  return { redis, gateway, ...producer(redis) };
}

function producer(redis: Redis) {
  return {
    write: (name: string, data: string) => redis.command('XADD', name, '*', 'data', data),
    end: (name: string, data: string) =>
      redis.command('XADD', name, '*', 'data', data, 'event', 'stream.end'),
    announce: (name: string) => redis.command('SET', 'run:latest', `stream:${name}`),
  };
}

const answerOf = (page: Page, name: string) =>
  page.getByRole('article', { name: `stream:${name}` });

const stateOf = (page: Page, name: string) => answerOf(page, name).getByRole('status');

const openRuns = (page: Page, gateway: Gateway) => page.goto(`${gateway.url}/runs`);

test('the words of a run appear, a reload continues, and a second tab shows the same', async ({
  context,
  page,
  processes,
}) => {
  const { gateway, write, end, announce } = await start(processes);
  await announce('run:1');
  await openRuns(page, gateway);
  await expect(stateOf(page, 'run:1')).toHaveText('Waiting for the first word');
  await write('run:1', 'One ');
  await expect(answerOf(page, 'run:1').getByText('One', { exact: true })).toBeVisible();
  await expect(stateOf(page, 'run:1')).toHaveText('Running');
  await write('run:1', 'two ');

  const shows = (text: string, in_ = page) =>
    expect(answerOf(in_, 'run:1').getByText(text, { exact: true })).toBeVisible();
  await shows('One two');
  await page.reload();
  await shows('One two');
  await write('run:1', 'three ');
  await shows('One two three');

  const second = await context.newPage();
  await openRuns(second, gateway);
  await shows('One two three', second);
  await write('run:1', 'four.');
  await end('run:1', '{"words":4}');
  for (const shown of [page, second]) {
    await shows('One two three four.', shown);
    await expect(stateOf(shown, 'run:1')).toHaveText('Complete');
    await expect(answerOf(shown, 'run:1').getByText('4 entries')).toBeVisible();
  }
});

test('a run that fails says why', async ({ page, processes }) => {
  const { gateway, write, end, announce } = await start(processes);
  await write('run:1', 'One ');
  await end('run:1', '{"error":"The model is overloaded."}');
  await announce('run:1');
  await openRuns(page, gateway);
  await expect(stateOf(page, 'run:1')).toHaveText('Failed');
  await expect(answerOf(page, 'run:1').getByText('The model is overloaded.')).toBeVisible();
});

test('a run whose stream expires is missing, and is not followed as a new one', async ({
  page,
  processes,
}) => {
  const { redis, gateway, write, announce } = await start(processes);
  await write('run:1', 'One ');
  await announce('run:1');
  await openRuns(page, gateway);
  await expect(stateOf(page, 'run:1')).toHaveText('Running');
  await redis.command('DEL', 'run:1');
  await expect(stateOf(page, 'run:1')).toHaveText('Gone');
  await page.reload();
  await expect(stateOf(page, 'run:1')).toHaveText('Gone');
  await expect(answerOf(page, 'run:1').getByText('One', { exact: true })).toBeVisible();
});

test.describe('without a gateway for a moment', () => {
  test.use({ expectNetworkErrors: true });

  test('a run is not requested again after its end', async ({ page, processes }) => {
    const { redis, gateway, write, end, announce } = await start(processes);
    const proxy = await processes.startProxy(gateway);
    const requests = () =>
      proxy.subscriptions.filter((url) => url.searchParams.getAll('stream').includes('run:1'));
    await write('run:1', 'One ');
    await announce('run:1');
    await page.goto(`${proxy.url}/runs`);
    await expect(stateOf(page, 'run:1')).toHaveText('Running');
    await end('run:1', '');
    await expect(stateOf(page, 'run:1')).toHaveText('Complete');
    const before = requests().length;
    expect(before).toBeGreaterThan(0);

    // The other topics continue: over a connection that breaks, after a reload, and while another run is followed.
    await gateway.kill();
    await gateway.restart();
    await expect(page.getByRole('button', { name: /^Connection: Live/ })).toBeVisible();
    await page.reload();
    await expect(stateOf(page, 'run:1')).toHaveText('Complete');
    await redis.command('DEL', 'run:1');
    await write('run:2', 'Two');
    await announce('run:2');
    await expect(answerOf(page, 'run:2').getByText('Two', { exact: true })).toBeVisible();
    await page.getByRole('button', { name: /^run:1/ }).click();
    await expect(stateOf(page, 'run:1')).toHaveText('Complete');
    await expect(answerOf(page, 'run:1').getByText('One', { exact: true })).toBeVisible();
    expect(requests()).toHaveLength(before);
  });

  test('a run continues while the gateway is replaced', async ({ page, processes }) => {
    const { gateway, write, end, announce } = await start(processes);
    await write('run:1', 'One ');
    await announce('run:1');
    await openRuns(page, gateway);
    await expect(stateOf(page, 'run:1')).toHaveText('Running');
    await gateway.kill();
    await write('run:1', 'two ');
    await gateway.restart();
    await write('run:1', 'three.');
    await end('run:1', '');
    await expect(stateOf(page, 'run:1')).toHaveText('Complete');
    await expect(
      answerOf(page, 'run:1').getByText('One two three.', { exact: true }),
    ).toBeVisible();
  });
});

test('the runs of the demo are shown', async ({ page, processes }) => {
  const gateway = await processes.startGateway({ flags: ['--demo'] });
  await openScreen(page, `${gateway.url}/runs`);
  const answer = page.getByRole('article');
  await expect(answer.getByRole('status')).toHaveText('Running');
  await expect(answer.getByRole('status')).toHaveText('Complete');
  await expectAccessible(page);
});
