import { expect, LivePage, test } from './fixtures';

test.use({ expectNetworkErrors: true });

test('the page recovers after the gateway was killed and started again', async ({
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

test('while the gateway is away, the details of the connection can be opened', async ({
  page,
  live,
  processes,
}) => {
  const gateway = await processes.startGateway();
  const loaded = ['ConnectionDetails', 'Palette', 'Settings', 'ShortcutHelp'].map((name) =>
    page.waitForResponse((response) => response.url().includes(`/${name}-`)),
  );
  await live.open(gateway.url);
  for (const response of await Promise.all(loaded)) await response.finished();
  await gateway.kill();
  await live.button(/^Connection: Retrying/).click();
  await expect(page.getByRole('dialog', { name: 'Connection' })).toContainText(gateway.url);
});

test('a chunk that no longer exists does not break the page', async ({ context, processes }) => {
  const gateway = await processes.startGateway();
  // A page without the check of the console: React logs the error that the boundary has caught.
  const page = await context.newPage();
  const live = new LivePage(page);
  await page.route(/\/assets\/(ConnectionDetails|Palette)-/, (route) =>
    route.fulfill({ status: 404 }),
  );
  await live.open(gateway.url);
  const failure = page.getByRole('alert').filter({ hasText: 'This page is out of date' });
  for (const open of [
    () => page.keyboard.press('Control+k'),
    () => live.button(/^Connection: Live/).click(),
  ]) {
    await open();
    await expect(failure.getByRole('button', { name: 'Reload' })).toBeVisible();
    await gateway.publish('updates', 'still here');
    await expect(live.rows.first()).toContainText('still here');
    await failure.getByRole('button', { name: 'Close' }).click();
    await expect(failure).toBeHidden();
  }
});
