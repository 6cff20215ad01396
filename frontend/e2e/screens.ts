import { expect, type Page } from '@playwright/test';

export const routes = [
  '/',
  '/analytics',
  '/logs',
  '/notifications',
  '/prices',
  '/health',
  '/runs',
  '/explorer',
];

/** The button that shows the state of the connection. */
export const pill = (page: Page) => page.getByRole('button', { name: /^Connection:/ });

/** Opens a screen, and waits until it shows something. */
export async function openScreen(page: Page, url: string): Promise<void> {
  await page.goto(url);
  await expect(page.getByRole('heading', { level: 1 })).toBeVisible();
  await expect(pill(page)).toHaveText(/Live/);
  await expect(page.getByText(/^Waiting for .*…$/)).toHaveCount(0);
}
