import { expect, test } from './fixtures';

test('an app built for a gateway of another origin connects to it', async ({
  page,
  live,
  processes,
}) => {
  const events = await processes.startGateway({
    open: ['channel:updates', 'channel:metrics', 'stream:notifications'],
  });
  const app = await processes.startGateway({ webDir: await processes.buildApp(events) });
  await live.open(app.url);
  await events.publish('updates', 'from the other origin');
  await expect(live.rows.first()).toContainText('from the other origin');

  await page.goto(`${app.url}/health`);
  await expect(page.getByText(/^node \w+, version/)).toBeVisible();
  expect(await app.connections()).toBe(0);
});
