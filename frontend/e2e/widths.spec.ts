import { expectAccessible } from './axe';
import { expect, test } from './fixtures';
import { fonts, overflows, useFont } from './fonts';
import { openScreen, routes } from './screens';

const sizes = [
  { width: 320, height: 740 },
  { width: 360, height: 740 },
  { width: 390, height: 740 },
  { width: 844, height: 390 },
  { width: 1440, height: 900 },
];

for (const size of sizes) {
  test(`screens fit ${size.width}×${size.height} in any font`, async ({ page, processes }) => {
    const gateway = await processes.startGateway({ flags: ['--demo'] });
    await page.setViewportSize(size);
    for (const route of routes) {
      await openScreen(page, gateway.url + route);
      for (const font of fonts) {
        await useFont(page, font);
        await expect.poll(() => overflows(page), `${route} in ${font} font`).toEqual([]);
      }
      const more = page.getByRole('button', { name: 'More', exact: true });
      if (await more.isVisible()) await more.click();
      await expect(page.getByRole('link', { name: 'Explorer' })).toBeInViewport();
      expect(await overflows(page)).toEqual([]);
    }
  });
}

test('a phone has five tabs, and the last one opens the other screens', async ({
  page,
  processes,
}) => {
  const gateway = await processes.startGateway({ flags: ['--demo'] });
  await page.setViewportSize({ width: 390, height: 740 });
  await openScreen(page, gateway.url);
  const menu = page.getByRole('navigation', { name: 'Screens' });
  await expect(menu.getByRole('listitem')).toHaveCount(5);
  const more = menu.getByRole('button', { name: 'More' });
  await more.click();
  await expectAccessible(page);
  await page.keyboard.press('Escape');
  await expect(menu.getByRole('link', { name: 'Prices' })).toBeHidden();
  await more.click();
  await menu.getByRole('link', { name: 'Prices' }).click();
  await expect(page.getByRole('heading', { level: 1, name: 'Prices' })).toBeVisible();
  await expect(menu.getByRole('link', { name: 'Prices' })).toBeHidden();
  await expect(more).toHaveAttribute('aria-current', 'true');
});
