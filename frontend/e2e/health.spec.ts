import { expect, test } from './fixtures';

test('shows the machine and the gateway', async ({ page, processes }) => {
  const gateway = await processes.startGateway({ flags: ['--demo'] });
  await page.goto(`${gateway.url}/health`);
  const stats = (await (await fetch(`${gateway.url}/stats`)).json()) as { node: string };
  await expect(page.getByText(stats.node)).toBeVisible();
  const figure = (name: string) =>
    page
      .getByRole('term')
      .filter({ hasText: new RegExp(`^${name}$`) })
      .first()
      .locator('..');
  await expect(figure('Connections')).toContainText(/[1-9]/);
  await expect(figure('Deliveries')).toContainText(/\d\/s/);
  await expect(figure('CPU')).toContainText(/\d%/);
  await expect(figure('Memory')).toContainText(/\d [KMGT]iB/);
  for (const name of ['CPU', 'Memory', 'Load', 'Disk', 'Network']) {
    const chart = page.getByRole('figure', { name });
    await expect(chart.getByRole('img')).toHaveAccessibleName(/now .+ on average/);
    await expect(chart.locator('canvas')).toBeVisible();
  }
});

test('does not chart its own replay as deliveries', async ({ page, processes }) => {
  const gateway = await processes.startGateway({
    flags: [
      ...['--allow-subscribe', 'channel:metrics,stream:notifications'],
      ...['--default-topics', 'channel:metrics', '--linger', '10m'],
    ],
  });
  // The gateway keeps events of a channel from its first subscription on.
  const first = await fetch(`${gateway.url}/events?channel=metrics`);
  const event = '{"cpu_percent":"none"}';
  await gateway.publishAll(
    'metrics',
    Array.from({ length: 1_000 }, () => event),
  );
  await first.body?.cancel();
  await page.goto(`${gateway.url}/health`);
  await expect(page.getByText('not a machine sample')).toBeVisible();
  const chart = page.getByRole('figure', { name: 'Throughput' }).getByRole('img');
  await expect(chart).toHaveAccessibleName(
    /^Deliveries: now [\d.]+\/s, from [\d.]+\/s to \d{1,2}(\.\d+)?\/s,/,
  );
});

test.describe('a gateway that goes away', () => {
  test.use({ expectNetworkErrors: true });

  test('is reported, and its rates start again when it is back', async ({ page, processes }) => {
    const gateway = await processes.startGateway({ flags: ['--demo'] });
    await page.goto(`${gateway.url}/health`);
    await expect(page.getByText(/^node /)).toBeVisible();
    await expect(page.getByRole('figure', { name: 'CPU' })).toBeVisible();
    await gateway.kill();
    await expect(page.getByText('The gateway does not answer')).toBeVisible();
    await expect(page.getByText(/No new data for/).first()).toBeVisible();
    await gateway.restart();
    await expect(page.getByText('The gateway does not answer')).toHaveCount(0);
    // The page waits longer after each failed attempt.
    await expect(page.getByText(/No new data for/)).toHaveCount(0, { timeout: 120_000 });
  });
});

test('a topic without samples is explained', async ({ page, processes }) => {
  const gateway = await processes.startGateway({
    flags: ['--allow-subscribe', 'channel:*,stream:notifications'],
  });
  await page.goto(`${gateway.url}/health?channel=other`);
  await expect(page.getByText('Waiting for the first event')).toBeVisible();
  await gateway.publish('other', '{"cpu_percent":"high"}');
  await expect(page.getByText('not a machine sample (no number at cpu_percent)')).toBeVisible();
});
