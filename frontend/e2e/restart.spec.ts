import { expect, test } from './fixtures';

test.use({ expectNetworkErrors: true });

test('the gateway is killed and comes back: the page recovers by itself', async ({
  page,
  live,
  processes,
}) => {
  const gateway = await processes.startGateway();
  await live.open(gateway.url);
  await gateway.publish('updates', 'before');
  await expect(live.rows.first()).toContainText('before');

  await gateway.kill();
  await expect(live.button(/^Connection: Retrying in \d+ s$/)).toBeVisible();
  await expect(page.getByText(`Cannot reach ${gateway.url}`)).toBeVisible();

  await gateway.restart();
  await live.expectLive();
  await expect(live.button('Retry now')).toHaveCount(0);
  await gateway.publish('updates', 'after');
  await expect(live.rows.first()).toContainText('after');
  await expect(live.rows.last()).toContainText('before');
});
