import { expect, interruptScroll, test } from './fixtures';

test.describe('without Redis, on the embedded broker', () => {
  for (const colorScheme of ['light', 'dark'] as const) {
    test(`shows the demo feed without a click, in ${colorScheme}`, async ({
      page,
      live,
      processes,
    }) => {
      await page.emulateMedia({ colorScheme });
      await live.open((await processes.startGateway({ flags: ['--demo'] })).url);
      await expect(
        page.getByRole('heading', { name: '🚀 Real-Time Data Stream (SSE + React)', level: 1 }),
      ).toBeVisible();
      await expect(
        page.getByRole('heading', { name: '📡 Live Server-Sent Events', level: 2 }),
      ).toBeVisible();
      await expect(live.rows.first()).toHaveText(
        /Time: \d{4}-\d\d-\d\dT[\d:.]+\S+ \| Value: \d{1,3}$/,
      );
      await expect(live.rows.nth(1)).toBeVisible();
      await expect(page.getByRole('list', { name: 'Topics' })).toHaveText('channel:updates');
      const background = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
      expect(background).toBe(colorScheme === 'light' ? 'rgb(241, 245, 244)' : 'rgb(10, 17, 19)');
    });
  }

  test('fits a phone of 360 pixels', async ({ page, live, processes }) => {
    await page.setViewportSize({ width: 360, height: 740 });
    const gateway = await processes.startGateway();
    await live.open(gateway.url);
    const overflow = () =>
      page.evaluate(
        () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
      );
    expect(await overflow()).toBe(0);
    await gateway.publish('updates', 'x'.repeat(5_000));
    await gateway.publish('updates', JSON.stringify({ time: new Date(), value: 7 }));
    await expect(live.rows).toHaveCount(2);
    await live.button('Show all 5,000 characters').click();
    expect(await overflow()).toBe(0);
    expect(await live.log.evaluate((log) => log.scrollWidth - log.clientWidth)).toBe(0);
  });

  test('can be scrolled to its end on the tallest screen', async ({ page, live, processes }) => {
    await page.setViewportSize({ width: 1_000, height: 3_600 });
    const gateway = await processes.startGateway();
    await live.open(gateway.url);
    await gateway.publishAll(
      'updates',
      Array.from({ length: 150 }, (_, n) => `event ${n}`),
    );
    await expect(page.getByText('150 received')).toBeVisible();
    await live.log.evaluate((log) => log.scrollTo(0, log.scrollHeight));
    await expect(live.rows).toHaveCount(150);
    await live.log.press('End');
    await expect(live.rows.last()).toBeInViewport();
  });

  test('shows the newest event also while a scroll is animated', async ({
    page,
    live,
    processes,
  }) => {
    const gateway = await processes.startGateway();
    await live.open(gateway.url);
    await gateway.publishAll(
      'updates',
      Array.from({ length: 60 }, (_, n) => `event ${n}`),
    );
    await expect(page.getByText('60 received')).toBeVisible();
    await interruptScroll(live.log, 'PageDown', 'Resume');
    expect(await live.log.evaluate(({ scrollTop }) => scrollTop)).toBe(0);
    await expect(live.button('Pause')).toBeVisible();
  });

  test('follows the topics in the page’s address', async ({ page, live, processes }) => {
    const gateway = await processes.startGateway({
      open: ['channel:*', 'stream:notifications'],
    });
    await live.open(`${gateway.url}/?channel=orders&channel=prices.*`);
    await gateway.publish('updates', 'not followed');
    await gateway.publish('prices.BTC', '101.5');
    await gateway.publish('orders', '{"total": 9}');
    await expect(live.rows).toHaveText([
      /channel:orders\{"total":9\}$/,
      /channel:prices\.BTC101\.5$/,
    ]);
    await expect(page.getByRole('list', { name: 'Topics' }).getByRole('listitem')).toHaveText([
      'channel:orders',
      'channel:prices.*',
    ]);
  });

  test('can be used with the keyboard alone', async ({ page, live, processes }) => {
    const gateway = await processes.startGateway();
    await live.open(gateway.url);
    for (let n = 1; n <= 60; n++) await gateway.publish('updates', `event ${n}`);
    await expect(live.rows).toHaveCount(60);

    await page.keyboard.press('Tab'); // the link to the content
    await page.keyboard.press('Enter');
    await page.keyboard.press('Tab');
    await expect(live.button('Pause')).toBeFocused();
    await page.keyboard.press('Enter');
    await gateway.publish('updates', 'event 61');
    await expect(page.getByText('↑ 1 new')).toBeVisible();
    await page.keyboard.press('Enter');
    await expect(live.rows.first()).toContainText('event 61');

    await page.keyboard.press('Tab');
    await expect(live.log).toBeFocused();
    await expect(live.log).toHaveCSS('outline-style', 'solid');
    await page.keyboard.press('PageDown');
    await expect(live.button('Resume')).toBeVisible();
    await gateway.publish('updates', 'event 62');
    await expect(page.getByText('↑ 1 new')).toBeVisible();
    await expect(live.rows).toHaveCount(61);
    await page.keyboard.press('Shift+Tab');
    await expect(live.button(/Show 1 event that came/)).toBeFocused();
    await page.keyboard.press('Enter');
    await expect(live.rows.first()).toContainText('event 62');
    await expect(live.rows.first()).toBeInViewport();
  });
});
