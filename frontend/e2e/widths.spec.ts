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
      await expect(page.getByRole('link', { name: 'Explorer' })).toBeInViewport();
    }
  });
}
