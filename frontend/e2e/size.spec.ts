import { gzipSync } from 'node:zlib';
import { expect, test } from './fixtures';

/** What somebody on a slow line waits for before the first event shows. */
const BUDGET = 120_000;

test('the first load stays small', async ({ page, live, processes }) => {
  const gateway = await processes.startGateway();
  // What is loaded once the page is idle keeps nobody waiting.
  await page.addInitScript(() => (window.requestIdleCallback = () => 0));
  const sizes = new Map<string, Promise<number>>();
  page.on('response', (response) => {
    const { pathname } = new URL(response.url());
    if (!/(^\/|\.(js|css|svg))$/.test(pathname)) return;
    sizes.set(
      pathname,
      response.body().then((body) => gzipSync(body).length),
    );
  });
  await live.open(gateway.url);
  const total = (await Promise.all(sizes.values())).reduce((sum, size) => sum + size, 0);
  console.log(`first load: ${(total / 1_000).toFixed(1)} kB gzipped in ${sizes.size} files`);
  expect(sizes.size).toBeGreaterThan(3);
  expect(total).toBeLessThan(BUDGET);
});
