import type { Page } from '@playwright/test';
import { expect, test } from './fixtures';

/** The font has its own budget: text is shown in a system font until it is loaded. */
const FONT_BUDGET = 40_000;

// Chromium accepts Brotli over HTTPS and from localhost only; over plain HTTP, it accepts gzip. The budget is the number
// of bytes that a user on a slow connection waits for before the first event is shown.
for (const [host, encoding, budget] of [
  ['127.0.0.1', 'br', 105_000],
  ['sluice.test', 'gzip', 115_000],
] as const) {
  test(`the first load with ${encoding} stays small`, async ({ page, live, processes }) => {
    const gateway = await processes.startGateway();
    await withoutPreload(page);
    const files = await recordFiles(page);
    await live.open(`http://${host}:${gateway.port}`);
    await page.evaluate(() => document.fonts.ready);

    const loaded = [...files.values()].filter((file) => file.received > 0);
    const fonts = loaded.filter((file) => file.type === 'Font');
    const others = loaded.filter((file) => file.type !== 'Font');
    const total = sum(others.map((file) => file.received));
    console.log(
      `first load: ${(total / 1_000).toFixed(1)} kB as ${encoding}, ${others.length} files`,
    );
    expect(others.length).toBeGreaterThan(3);
    expect(total).toBeLessThan(budget);
    expect(fonts).toHaveLength(1);
    expect(sum(fonts.map((file) => file.received))).toBeLessThan(FONT_BUDGET);
    const large = loaded.filter((file) => file.size > 1_500 && file.type !== 'Font');
    expect(new Set(large.map((file) => file.encoding))).toEqual(new Set([encoding]));
  });
}

test('a second load receives no assets', async ({ page, live, processes }) => {
  const gateway = await processes.startGateway();
  await withoutPreload(page);
  await live.open(gateway.url);
  await page.evaluate(() => document.fonts.ready);
  const files = await recordFiles(page);
  await live.open(gateway.url);
  await page.evaluate(() => document.fonts.ready);
  const assets = [...files].filter(([path]) => path.startsWith('/assets/'));
  expect(assets.length).toBeGreaterThan(3);
  expect(assets.filter(([, file]) => file.received > 0)).toEqual([]);
});

/** Disables the preload of other screens, which starts when the page is idle. */
async function withoutPreload(page: Page): Promise<void> {
  await page.addInitScript(() => (window.requestIdleCallback = () => 0));
}

interface LoadedFile {
  readonly type: string;
  readonly encoding: string | undefined;
  /** Bytes of the decoded content. */
  size: number;
  /** Bytes received over the network, headers included; 0 while the file is loading or if it was cached. */
  received: number;
}

/** Records the files that Chromium loads, by path, with the bytes that it receives for each. */
async function recordFiles(page: Page): Promise<Map<string, LoadedFile>> {
  const files = new Map<string, LoadedFile>();
  const requests = new Map<string, LoadedFile>();
  const cdp = await page.context().newCDPSession(page);
  cdp.on('Network.responseReceived', ({ requestId, type, response }) => {
    if (!['Document', 'Script', 'Stylesheet', 'Image', 'Font', 'Other'].includes(type)) return;
    const headers = new Headers(response.headers);
    const encoding = headers.get('Content-Encoding') ?? undefined;
    const file = { type, encoding, size: 0, received: 0 };
    requests.set(requestId, file);
    files.set(new URL(response.url).pathname, file);
  });
  cdp.on('Network.dataReceived', ({ requestId, dataLength }) => {
    const file = requests.get(requestId);
    if (file) file.size += dataLength;
  });
  cdp.on('Network.loadingFinished', ({ requestId, encodedDataLength }) => {
    const file = requests.get(requestId);
    if (file) file.received = encodedDataLength;
  });
  await cdp.send('Network.enable');
  return files;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, n) => total + n, 0);
}
