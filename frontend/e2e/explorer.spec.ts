import { execFileSync } from 'node:child_process';
import { expectAccessible } from './axe';
import { expect, test } from './fixtures';

const open = ['--allow-subscribe', 'channel:*,stream:*,key:*'];
const writable = ['--allow-publish', 'channel:*,stream:*,key:*'];

test('follows topics of all kinds, and can be shared by its address', async ({
  page,
  processes,
}) => {
  const redis = await processes.startRedis();
  const gateway = await processes.startGateway({ redis, flags: open });
  await redis.command('XADD', 'orders', '*', 'event', 'order.created', 'data', '{"total": 9.50}');
  await redis.command('SET', 'price:A', '101.5');
  await page.goto(`${gateway.url}/explorer`);
  await expect(page.getByText('Add a topic to see what comes on it')).toBeVisible();

  const follow = async (kind: string, name: string) => {
    await page.getByLabel('Kind of topic').selectOption(kind);
    await page.getByLabel('Name', { exact: true }).fill(name);
    await page.getByRole('button', { name: 'Follow', exact: true }).click();
  };
  const rows = page.getByRole('log', { name: 'Events' }).getByRole('listitem');
  await follow('key', 'price:*');
  await expect(rows).toHaveText([/key:price:A.*101\.5/]);
  await follow('stream', 'or*ders');
  await expect(page.getByText('A stream has no globs')).toBeVisible();
  await follow('stream', 'orders');
  await page.getByLabel('Event types').fill('order.created');
  await page.keyboard.press('Enter');
  const order = rows.filter({ hasText: 'stream:orders' });
  await expect(order).toContainText('order.created');
  await expect(order).toContainText('"total": 9.50');
  await page.getByRole('radio', { name: 'Raw' }).check();
  await expect(order).toContainText('{"total": 9.50}');

  const address = new URL(page.url());
  expect(address.searchParams.getAll('stream')).toEqual(['orders']);
  expect(address.searchParams.getAll('event')).toEqual(['order.created']);
  await page.reload();
  await expect(order).toContainText('order.created');
  await page.getByRole('button', { name: 'Stop following stream:orders' }).click();
  await expect(order).toHaveCount(0);
});

test('does not change while the reader has scrolled, and starts again with other topics', async ({
  page,
  processes,
}) => {
  const gateway = await processes.startGateway({ flags: open });
  await page.goto(`${gateway.url}/explorer?channel=a`);
  await expect(page.getByText('Waiting for the first event')).toBeVisible();
  const texts = Array.from({ length: 50 }, (_, n) => `event ${n}`);
  await gateway.publishAll('a', texts);
  const log = page.getByRole('log', { name: 'Events' });
  const rows = log.getByRole('listitem');
  await expect(rows.first()).toHaveAttribute('aria-setsize', '50');
  expect(await rows.count()).toBeLessThan(40);
  await log.evaluate((element) => element.scrollTo(0, 200));
  await expect(page.getByRole('button', { name: 'Resume' })).toBeVisible();
  await gateway.publishAll('a', ['later', 'later']);
  await expect(page.getByText('52 received')).toBeVisible();
  await expect(rows.first()).toHaveAttribute('aria-setsize', '50');
  await page.getByRole('button', { name: 'Show 2 events that came meanwhile' }).click();
  await expect(rows.first()).toHaveAttribute('aria-setsize', '52');
  await expect(rows.first()).toBeInViewport();

  await page.getByRole('button', { name: 'Pause' }).click();
  await page.getByLabel('Name', { exact: true }).fill('b');
  await page.getByRole('button', { name: 'Follow', exact: true }).click();
  await page.getByRole('button', { name: 'Stop following channel:a' }).click();
  await expect(page.getByText('Waiting for the first event')).toBeVisible();
  await gateway.publish('b', 'of the other');
  await expect(rows).toHaveText([/of the other/]);
});

test('keeps its list when a topic is added, and goes back by one topic', async ({
  page,
  processes,
}) => {
  const redis = await processes.startRedis();
  const gateway = await processes.startGateway({ redis, flags: open });
  await redis.command('XADD', 'b', '*', 'data', 'three');
  await page.goto(`${gateway.url}/explorer?channel=a`);
  await expect(page.getByText('Waiting for the first event')).toBeVisible();
  const rows = page.getByRole('log', { name: 'Events' }).getByRole('listitem');
  await gateway.publishAll('a', ['one', 'two']);
  await expect(rows).toHaveText([/two/, /one/]);
  await page.getByLabel('Kind of topic').selectOption('stream');
  await page.getByLabel('Name', { exact: true }).fill('b');
  await page.getByRole('button', { name: 'Follow', exact: true }).click();
  await expect(rows).toHaveText([/three/, /two/, /one/]);
  await gateway.publish('a', 'four');
  await expect(rows).toHaveText([/four/, /three/, /two/, /one/]);
  await page.goBack();
  await expect(page).toHaveURL(/explorer\?channel=a$/);
  await expect(rows).toHaveText([/four/, /two/, /one/]);
  await gateway.publish('a', 'five');
  await expect(rows).toHaveText([/five/, /four/, /two/, /one/]);
});

test('announces a gap to screen readers', async ({ page, processes }) => {
  const redis = await processes.startRedis();
  const gateway = await processes.startGateway({ redis, flags: open });
  await redis.command('XADD', 'b', '*', 'data', 'one');
  await page.goto(`${gateway.url}/explorer?stream=b`);
  await expect(page.getByRole('log', { name: 'Events' }).getByRole('listitem')).toHaveText([/one/]);
  await redis.command('DEL', 'b');
  await expect(
    page.getByRole('status').filter({ hasText: 'Some events may have been missed' }),
  ).toBeAttached();
});

test('publishes, and shows the same as commands', async ({ page, processes }) => {
  const redis = await processes.startRedis();
  const gateway = await processes.startGateway({ redis, flags: [...open, ...writable] });
  await page.goto(`${gateway.url}/explorer?stream=orders`);
  const form = page.getByRole('form', { name: 'Publish' });
  await expect(form.getByLabel('Name to publish to')).toHaveValue('orders');

  const data = `{"note": "it's $HOME \`id\`",\n "total": 9}`;
  await form.getByLabel('Data').fill(data);
  await form.getByLabel('Event type').fill('order.created');
  await form.getByRole('button', { name: 'Publish' }).click();
  await expect(form.getByRole('status')).toHaveText(/Published to stream:orders, id \d+-\d+/);
  const rows = page.getByRole('log', { name: 'Events' }).getByRole('listitem');
  await expect(rows).toHaveCount(1);
  await expect(rows.first()).toContainText('order.created');
  await expectAccessible(page);

  // The commands for a terminal publish the same event. The data needs quoting in a shell.
  const commands = page.getByRole('list', { name: 'The same from a terminal' }).locator('code');
  const [curl = '', cli = ''] = await commands.allTextContents();
  execFileSync('sh', ['-c', curl]);
  execFileSync('sh', ['-c', cli.replace('redis-cli', `redis-cli -p ${redis.port}`)]);
  await expect(rows).toHaveCount(3);
  const entries = await redis.command('--json', 'XRANGE', 'orders', '-', '+');
  const published = (JSON.parse(entries) as [string, string[]][]).map(([, fields]) => fields);
  const fields = ['data', data, 'event', 'order.created'];
  expect(published).toEqual([fields, fields, fields]);
});

test('shows no redis-cli command on the embedded broker', async ({ page, processes }) => {
  const gateway = await processes.startGateway({ flags: open });
  for (const [path, tools] of [
    ['/explorer?channel=a', 'The same from a terminal'],
    ['/?channel=a', undefined],
  ] as const) {
    const stats = page.waitForResponse(`${gateway.url}/stats`);
    await page.goto(gateway.url + path);
    await stats;
    const list = tools ? page.getByRole('list', { name: tools }) : page.getByRole('main');
    await expect(list.getByText('curl -d')).toBeVisible();
    await expect(list.getByText('redis-cli')).toBeHidden();
  }
});

test.describe('what is not allowed', () => {
  test.use({ expectNetworkErrors: true });

  test('includes trimming a stream without a token', async ({ page, processes }) => {
    const gateway = await processes.startGateway({ flags: [...open, ...writable] });
    await page.goto(`${gateway.url}/explorer?stream=orders`);
    const form = page.getByRole('form', { name: 'Publish' });
    await form.getByLabel('Data').fill('x');
    await form.getByLabel('Approximate maximum number of entries').fill('50');
    await form.getByRole('button', { name: 'Publish' }).click();
    await expect(form.getByRole('status')).toContainText(/\(401\): .*maxlen/);
  });

  test("is explained in the gateway's words", async ({ page, processes }) => {
    const gateway = await processes.startGateway();
    await page.goto(`${gateway.url}/explorer?channel=updates&stream=secret`);
    await expect(
      page.getByRole('heading', { name: "You don't have access to stream:secret" }),
    ).toBeVisible();
    await gateway.publish('updates', 'still here');
    await expect(page.getByText('still here')).toBeVisible();

    await page.getByLabel('Kind to publish to').selectOption('key');
    await page.getByLabel('Name to publish to').fill('mine');
    await page.getByRole('button', { name: 'Publish', exact: true }).click();
    await expect(page.getByText(/\(401\): .*key:mine/)).toBeVisible();
  });
});
