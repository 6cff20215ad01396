import { expect, test } from './fixtures';

const texts = (first: number, last: number) =>
  Array.from({ length: last - first + 1 }, (_, n) => new RegExp(`event ${last - n}$`));

test('a reload keeps the position and the rows', async ({ page, live, processes }) => {
  const gateway = await processes.startGateway();
  await live.open(gateway.url);
  for (let n = 1; n <= 3; n++) await gateway.publish('updates', `event ${n}`);
  await expect(live.rows).toHaveText(texts(1, 3));

  // Leaves the app: events arrive while the page is closed.
  await page.goto('about:blank');
  for (let n = 4; n <= 6; n++) await gateway.publish('updates', `event ${n}`);
  await page.goto(gateway.url);
  await expect(live.rows).toHaveText(texts(1, 6));
  await page.reload();
  await live.expectLive();
  await gateway.publish('updates', 'event 7');
  await expect(live.rows).toHaveText(texts(1, 7));
});

test('a visit to another screen keeps the position too', async ({ page, live, processes }) => {
  const gateway = await processes.startGateway();
  await live.open(gateway.url);
  await gateway.publish('updates', 'event 1');
  await expect(live.rows).toHaveText(texts(1, 1));
  await page.getByRole('link', { name: 'Explorer' }).click();
  await expect(page.getByRole('heading', { level: 1, name: 'Explorer' })).toBeVisible();
  await gateway.publish('updates', 'event 2');
  await page.getByRole('link', { name: 'Live' }).click();
  await expect(live.rows).toHaveText(texts(1, 2));
});

test.describe('without a network', () => {
  test.use({ expectNetworkErrors: true });

  test('the page waits, and resumes', async ({ page, context, live, processes }) => {
    const redis = await processes.startRedis();
    const gateway = await processes.startGateway({
      redis,
      open: ['stream:orders', 'stream:notifications'],
    });
    await live.open(`${gateway.url}/?stream=orders`);
    await redis.command('XADD', 'orders', '*', 'data', 'event 1');
    await expect(live.rows).toHaveText(texts(1, 1));
    await gateway.kill();
    await expect(page.getByRole('button', { name: /^Connection: Retrying/ })).toBeVisible();
    await redis.command('XADD', 'orders', '*', 'data', 'event 2');
    await redis.command('XADD', 'orders', '*', 'data', 'event 3');
    await context.setOffline(true);
    await gateway.restart();
    await context.setOffline(false);
    await live.expectLive();
    await expect(live.rows).toHaveText(texts(1, 3));
    await live.button(/^Connection:/).click();
    await expect(page.getByText('resumed, nothing missed')).toBeVisible();
  });
});
