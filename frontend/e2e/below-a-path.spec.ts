import { expect, test } from './fixtures';

test('the app works below a path of a proxy', async ({ page, live, processes }) => {
  const gateway = await processes.startGateway({ flags: ['--demo'] });
  const url = await processes.startNginx(gateway, '/live/');
  await live.open(url);
  await expect(live.rows.first()).toBeVisible();

  await page.getByRole('link', { name: 'Logs' }).click();
  await expect(page).toHaveURL(`${url}logs`);
  await expect(page.getByRole('option').first()).toBeVisible();
  await page.reload();
  await expect(page.getByRole('option').first()).toBeVisible();
  await expect(page.locator('link[rel="icon"]')).toHaveAttribute('href', /^\/live\/favicon/);

  await page.goto(`${url}logs/?filter=x`);
  await expect(page).toHaveURL(`${url}logs?filter=x`);
  await expect(page.getByRole('searchbox')).toHaveValue('x');

  await page.goto(`${url}health`);
  await expect(page.getByRole('heading', { level: 1, name: 'Health' })).toBeVisible();
  await expect(page.getByText(/^node /)).toBeVisible();
});
