import { join } from 'node:path';
import { expect, test } from './fixtures';

/** Where the pictures go. */
const directory =
  process.env.SCREENSHOTS ?? join(import.meta.dirname, '../test-results/screenshots');

const sizes = {
  desktop: { width: 1280, height: 800 },
  phone: { width: 390, height: 844 },
};

const routes = {
  live: '/',
  analytics: '/analytics',
  logs: '/logs',
  notifications: '/notifications',
  prices: '/prices',
  health: '/health',
  runs: '/runs',
  explorer: '/explorer?stream=logs&last=20',
};

test('every screen, on a desktop and a phone, light and dark', async ({ page, processes }) => {
  test.setTimeout(600_000);
  const gateway = await processes.startGateway({ flags: ['--demo'] });
  // The pictures want some history: the feeds run while the first screens are visited.
  await page.goto(gateway.url);
  await page.waitForTimeout(45_000);
  for (const colorScheme of ['light', 'dark'] as const) {
    for (const [device, viewport] of Object.entries(sizes)) {
      await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
      await page.setViewportSize(viewport);
      for (const [name, path] of Object.entries(routes)) {
        await page.goto(gateway.url + path);
        await expect(page.getByRole('button', { name: /^Connection: Live/ })).toBeVisible();
        await expect(page.getByText(/^Waiting for .*…$/)).toHaveCount(0);
        await page.waitForTimeout(3_000);
        await page.screenshot({ path: join(directory, `${name}-${device}-${colorScheme}.png`) });
      }
    }
  }
});
