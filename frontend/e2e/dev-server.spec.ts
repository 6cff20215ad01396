import { expect, test } from './fixtures';

test('the development server follows a gateway of another origin', async ({ live, processes }) => {
  const gateway = await processes.startGateway();
  await live.open(await processes.startDevServer(gateway));
  // It may still bundle what the page depends on, and reload it then.
  await expect(async () => {
    await gateway.publish('updates', 'across origins');
    await expect(live.rows.first()).toContainText('across origins', { timeout: 2_000 });
  }).toPass();
});
