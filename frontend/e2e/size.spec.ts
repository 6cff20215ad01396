import { gzipSync } from 'node:zlib';
import { expect, test } from './fixtures';

/** What somebody on a slow line waits for before the first event shows. */
const BUDGET = 120_000;
/** The font is not in the budget: text shows in a font of the machine until it is there. */
const FONT_BUDGET = 40_000;

test('the first load stays small', async ({ page, live, processes }) => {
  const gateway = await processes.startGateway();
  // What is loaded once the page is idle keeps nobody waiting.
  await page.addInitScript(() => (window.requestIdleCallback = () => 0));
  const sizes = new Map<string, Promise<number>>();
  const fonts = new Map<string, Promise<number>>();
  page.on('response', (response) => {
    const { pathname } = new URL(response.url());
    if (pathname.endsWith('.woff2')) {
      fonts.set(
        pathname,
        response.body().then((body) => body.length),
      );
    }
    if (!/(^\/|\.(js|css|svg))$/.test(pathname)) return;
    sizes.set(
      pathname,
      response.body().then((body) => gzipSync(body).length),
    );
  });
  await live.open(gateway.url);
  await page.evaluate(() => document.fonts.ready);
  const [total, font] = await Promise.all([sum(sizes.values()), sum(fonts.values())]);
  console.log(`first load: ${(total / 1_000).toFixed(1)} kB gzipped in ${sizes.size} files`);
  expect(sizes.size).toBeGreaterThan(3);
  expect(total).toBeLessThan(BUDGET);
  expect(fonts.size).toBe(1);
  expect(font).toBeLessThan(FONT_BUDGET);
});

async function sum(sizes: Iterable<Promise<number>>): Promise<number> {
  return (await Promise.all(sizes)).reduce((total, size) => total + size, 0);
}
