import type { Browser, Page } from '@playwright/test';
import { dataOf, expect, LivePage, openTab, series, test } from './fixtures';
import type { Gateway } from './processes';

/** Ends the worker as a crash does: without a message to its tabs. */
async function killWorker(browser: Browser): Promise<void> {
  const session = await browser.newBrowserCDPSession();
  const { targetInfos } = await session.send('Target.getTargets');
  const workers = targetInfos.filter(({ type }) => type === 'shared_worker');
  expect(workers).toHaveLength(1);
  for (const { targetId } of workers) await session.send('Target.closeTarget', { targetId });
  await session.detach();
}

/** Checks that a page receives events without a shared worker. */
async function expectAlone(page: Page, gateway: Gateway, browser: Browser): Promise<void> {
  const live = new LivePage(page);
  await live.open(gateway.url);
  await gateway.publish('updates', 'alone');
  await expect(live.rows.first()).toContainText('alone');
  const session = await browser.newBrowserCDPSession();
  const { targetInfos } = await session.send('Target.getTargets');
  expect(targetInfos.filter(({ type }) => type === 'shared_worker')).toEqual([]);
}

test('ten tabs of an insecure origin share one connection', async ({ context, processes }) => {
  const gateway = await processes.startGateway();
  const url = `http://sluice.test:${gateway.port}`;
  const tabs: Page[] = [];
  for (let n = 0; n < 10; n++) tabs.push(await openTab(context, url));
  expect(await tabs[0]?.evaluate(() => window.isSecureContext)).toBe(false);
  await expect.poll(gateway.connections).toBe(1);
  await gateway.publish('updates', 'to all');
  for (const tab of tabs) await expect.poll(() => dataOf(tab)).toEqual(['to all']);
});

test('a killed worker loses and repeats nothing', async ({ browser, context, processes }) => {
  const gateway = await processes.startGateway();
  const tabs = [await openTab(context, gateway.url), await openTab(context, gateway.url)];
  let sent = 0;
  const publish = async (count: number) => {
    await gateway.publishAll('updates', series(sent + 1, sent + count));
    sent += count;
  };
  for (let n = 0; n < 10; n++) await publish(1);
  await killWorker(browser);
  for (let n = 0; n < 10; n++) await publish(1);
  for (const tab of tabs) await expect(tab.getByText('20 received')).toBeVisible();
  await publish(1);
  for (const tab of tabs) {
    await expect.poll(() => dataOf(tab)).toEqual(series(1, 21));
    await expect(tab.getByText('missed')).toBeHidden();
  }
  await expect.poll(gateway.connections).toBe(1);
});

test('a tab that changes its topics does not interrupt another', async ({ context, processes }) => {
  const gateway = await processes.startGateway({ flags: ['--demo'], open: ['channel:*'] });
  const one = await openTab(context, `${gateway.url}/?channel=numbers`);
  await one.evaluate(() => {
    const bar = document.querySelector('[data-phase]');
    const phases: unknown[] = [];
    Object.assign(window, { phases });
    const observer = new MutationObserver(() => phases.push(bar?.getAttribute('data-phase')));
    if (bar) observer.observe(bar, { attributes: true });
  });
  const two = await openTab(context, gateway.url);
  let sent = 0;
  for (const name of ['Analytics', 'Health', 'Logs', 'Analytics', 'Live']) {
    const clicked = two.getByRole('link', { name, exact: true }).click();
    for (let n = 0; n < 10; n++) await gateway.publish('numbers', String(++sent));
    await clicked;
  }
  await two.close();
  await gateway.publish('numbers', String(++sent));
  await expect.poll(() => dataOf(one)).toEqual(series(1, sent));
  expect(await one.evaluate(() => (window as unknown as { phases: unknown[] }).phases)).toEqual([]);
  await expect.poll(gateway.connections).toBe(1);
});

test('tabs with different cursors of a key end with one connection', async ({
  context,
  processes,
}) => {
  const redis = await processes.startRedis();
  const gateway = await processes.startGateway({ redis, open: ['key:price'] });
  const url = `${gateway.url}/?key=price`;
  await redis.command('SET', 'price', '1');
  const one = await openTab(context, url);
  await expect.poll(() => dataOf(one)).toEqual(['1']);
  await one.goto('about:blank');
  await redis.command('SET', 'price', '2');
  const two = await openTab(context, url);
  await expect.poll(() => dataOf(two)).toEqual(['2']);
  // The worker ends with its last tab, and the next one has kept nothing.
  await two.goto('about:blank');
  await expect.poll(gateway.connections).toBe(0);
  await Promise.all([one.goto(url), two.goto(url)]);
  await expect.poll(() => dataOf(one)).toEqual(['1', '2']);
  await expect.poll(() => dataOf(two)).toEqual(['2']);
  await expect.poll(gateway.connections).toBe(1);
  await redis.command('SET', 'price', '3');
  await expect.poll(() => dataOf(one)).toEqual(['1', '2', '3']);
  await expect.poll(() => dataOf(two)).toEqual(['2', '3']);
});

for (const [path, content, count] of [
  ['/analytics', 'Page views', 1],
  ['/logs', 'lines', 1],
  ['/health', 'Deliveries', 1],
  ['/notifications', 'unread', 1],
  // The default topics have to be known before others can be added to them.
  ['/', 'received', 2],
] as const) {
  test(`loading ${path} makes ${count} subscriptions`, async ({ page, processes }) => {
    const proxy = await processes.startProxy(await processes.startGateway({ flags: ['--demo'] }));
    await page.goto(proxy.url + path);
    await expect(page.getByRole('button', { name: /^Connection: Live/ })).toBeVisible();
    await expect(page.getByRole('main').getByText(content).first()).toBeVisible();
    // Changes within 50 ms are one request, so later requests have been sent by then.
    await expect.poll(() => proxy.subscriptions.length).toBe(count);
    await page.waitForTimeout(500);
    expect(proxy.subscriptions).toHaveLength(count);
  });
}

test.describe('a page that cannot share connects by itself', () => {
  test('without SharedWorker', async ({ browser, page, processes }) => {
    await page.addInitScript(() => Reflect.deleteProperty(window, 'SharedWorker'));
    await expectAlone(page, await processes.startGateway(), browser);
  });

  test('if the constructor throws', async ({ browser, page, processes }) => {
    await page.addInitScript(() => {
      window.SharedWorker = function () {
        throw new DOMException('Access to shared workers is denied', 'SecurityError');
      } as unknown as typeof SharedWorker;
    });
    await expectAlone(page, await processes.startGateway(), browser);
  });

  test('if the worker’s file is missing', async ({ browser, context, processes }) => {
    await context.route(/worker-.*\.js/, (route) => route.fulfill({ status: 404 }));
    await expectAlone(await context.newPage(), await processes.startGateway(), browser);
  });

  test('if the Content-Security-Policy forbids workers', async ({
    browser,
    context,
    processes,
  }) => {
    const page = await context.newPage(); // the console reports the violation
    await page.route('**/', async (route) => {
      const response = await route.fetch();
      const headers = response.headers();
      const policy = headers['content-security-policy'] ?? '';
      headers['content-security-policy'] = policy.replace("worker-src 'self'", "worker-src 'none'");
      expect(headers['content-security-policy']).toContain("worker-src 'none'");
      await route.fulfill({ response, headers });
    });
    await expectAlone(page, await processes.startGateway(), browser);
  });

  test('if two workers do not answer', async ({ browser, page, processes }) => {
    await page.addInitScript(() => {
      const started: string[] = [];
      Object.assign(window, { started });
      window.SharedWorker = class {
        onerror = null;
        port = new MessageChannel().port1;
        constructor(url: string) {
          started.push(url);
        }
      } as unknown as typeof SharedWorker;
    });
    await expectAlone(page, await processes.startGateway(), browser);
    expect(
      await page.evaluate(() => (window as unknown as { started: unknown[] }).started),
    ).toHaveLength(2);
  });
});
