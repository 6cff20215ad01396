import { expect, test } from './fixtures';

// One after the other: both servers bundle what the page depends on into the same folder.
test.describe.configure({ mode: 'default' });

test('the development server connects to a gateway of another origin', async ({
  live,
  processes,
}) => {
  const gateway = await processes.startGateway();
  await live.open(await processes.startDevServer(gateway));
  // It may still bundle what the page depends on, and reload it then.
  await expect(async () => {
    await gateway.publish('updates', 'across origins');
    await expect(live.rows.first()).toContainText('across origins', { timeout: 2_000 });
  }).toPass();
});

// React complains of what is wrong with a tree only here, and the console must stay empty.
test('the development build logs no warnings', async ({ page, processes }) => {
  test.setTimeout(600_000); // fourteen pages, of hundreds of modules each
  const gateway = await processes.startGateway({ flags: ['--demo'] });
  const url = await processes.startDevServer(gateway);
  for (const [path, first] of [
    ['/', 'received'],
    ['/analytics', 'Page views'],
    ['/logs', 'lines'],
    ['/notifications', 'unread'],
    ['/prices', 'price:BTC'],
    ['/health', 'Deliveries'],
    ['/explorer?stream=logs&last=5', 'received'],
  ] as const) {
    for (const open of [() => page.goto(url + path), () => page.reload()]) {
      await open();
      await expect(page.getByRole('main').getByText(first).first()).toBeVisible();
    }
  }
});
