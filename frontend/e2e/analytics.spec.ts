import { expectAccessible } from './axe';
import { expect, test } from './fixtures';

const flags = ['--allow-subscribe', 'channel:*,stream:notifications'];

const message = (seconds: number, views: number) =>
  JSON.stringify({
    time: new Date(Date.now() - seconds * 1_000),
    ...{ page_views: views, active_users: 200 + views, conversion_percent: 2.5 },
    ...{ by_page: { '/': views - 1, '/cart': 1 }, by_country: { DE: views } },
  });

test('totals, charts and breakdowns follow what is published', async ({ page, processes }) => {
  const redis = await processes.startRedis();
  const gateway = await processes.startGateway({ redis, flags });
  await page.goto(`${gateway.url}/analytics`);
  await expect(page.getByText('Waiting for the first event')).toBeVisible();
  await redis.publish('analytics', message(200, 5));
  await redis.publish('analytics', message(100, 10));
  await redis.publish('analytics', message(20, 30));
  await redis.publish('analytics', message(10, 40));

  const total = page.getByText('Page views').first().locator('..');
  await expect(total).toContainText('85');
  await expect(total).toContainText(/in 3 min \d+ s/);
  const chart = page.getByRole('figure', { name: 'Page views' });
  await expect(chart.getByRole('img')).toHaveAccessibleName(
    'Page views: now 40, from 5 to 40, 21.3 on average of 4 points',
  );
  await expect(page.getByRole('table', { name: 'By page' }).getByRole('row')).toHaveText([
    /Name/,
    '/8195.3%',
    '/cart44.71%',
  ]);

  await page.getByRole('radio', { name: '1 min', exact: true }).check();
  await expect(total).toContainText('70');
  await expect(total).toContainText('up 600%');
  await expect(chart.getByRole('img')).toHaveAccessibleName(/from 30 to 40/);
});

test('the figures of another topic are found without settings', async ({ page, processes }) => {
  const gateway = await processes.startGateway({ flags });
  await page.goto(`${gateway.url}/analytics?channel=plant`);
  await expect(page.getByText('Waiting for the first event')).toBeVisible();
  await gateway.publish(
    'plant',
    '{"boiler_temperature":81.5,"name":"north","valves":{"a":3,"b":1}}',
  );
  await expect(page.getByRole('figure', { name: 'Boiler temperature' })).toContainText('81.5');
  await expect(page.getByRole('table', { name: 'Valves' })).toContainText('75%');
  await expect(page.getByRole('figure')).toHaveCount(1);
});

test('totals cover all the time shown at any rate', async ({ page, processes }) => {
  const gateway = await processes.startGateway({ flags });
  await page.goto(`${gateway.url}/analytics?channel=busy`);
  await expect(page.getByText('Waiting for the first event')).toBeVisible();
  const now = Date.now();
  const at = (seconds: number) => new Date(now - seconds * 1_000);
  // 20 events a second, and fewer than the gateway keeps.
  const events = Array.from({ length: 4_000 }, (_, n) =>
    JSON.stringify({ time: at((4_000 - n) / 20), clicks: 1, by_page: { '/': 1 } }),
  );
  await gateway.publishAll('busy', events);
  const total = page.getByText('Clicks').first().locator('..');
  await expect(total).toContainText('4,000');
  await expect(total).toContainText(/in 3 min 2[01] s/);
  await expect(page.getByRole('table', { name: 'By page' }).locator('..')).toContainText(
    /in 3 min 2[01] s/,
  );
  await page.getByRole('radio', { name: '1 min', exact: true }).check();
  await expect(total).toContainText('in 1 min');
});

test('the numbers behind a chart can be read, by keyboard too', async ({ page, processes }) => {
  const gateway = await processes.startGateway({ flags });
  await page.goto(`${gateway.url}/analytics?channel=a`);
  await expect(page.getByText('Waiting for the first event')).toBeVisible();
  // What belongs to the other chart makes no row.
  const time = (seconds: number) =>
    `"time":"${new Date(Date.now() - seconds * 1_000).toISOString()}"`;
  for (const data of [`{"x":1,${time(9)}}`, `{"y":10,${time(6)}}`, `{"x":2,${time(3)}}`]) {
    await gateway.publish('a', data);
  }
  const chart = page.getByRole('figure', { name: 'X' });
  await expect(chart.getByRole('img')).toHaveAccessibleName(/now 2.* of 2 points/);
  await chart.getByText('Show as table').focus();
  await page.keyboard.press('Enter');
  const cells = chart.getByRole('table', { name: 'X' }).getByRole('cell');
  await expect(cells).toHaveText(['2', '1']);
  await gateway.publish('a', '{"x":3}');
  await expect(cells).toHaveText(['3', '2', '1']);
  await expectAccessible(page);
});

test.describe('while Redis is away', () => {
  test.use({ expectNetworkErrors: true });

  test('the line is interrupted, and the gap is reported', async ({ page, processes }) => {
    const redis = await processes.startRedis();
    const gateway = await processes.startGateway({ redis, flags });
    await page.goto(`${gateway.url}/analytics?channel=a`);
    await expect(page.getByText('Waiting for the first event')).toBeVisible();
    await redis.publish('a', '{"x":1}');
    const chart = page.getByRole('figure', { name: 'X' }).getByRole('img');
    await expect(chart).toHaveAccessibleName(/now 1/);
    await redis.kill();
    await redis.restart();
    await expect(chart).toHaveAccessibleName(/one gap in the data/);
    await page.getByText('Show as table').click();
    await expect(page.getByRole('cell', { name: 'data may be missing' })).toBeVisible();
  });
});
