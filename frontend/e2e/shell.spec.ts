import type { Page } from '@playwright/test';
import { expectAccessible } from './axe';
import { expect, test } from './fixtures';
import { fonts, overflows, useFont } from './fonts';
import { openScreen, pill, routes } from './screens';
import { secret, tokenFor } from './tokens';

test.describe('every screen, on the demo feeds', () => {
  for (const colorScheme of ['light', 'dark'] as const) {
    test(`are accessible, in ${colorScheme}`, async ({ page, processes }) => {
      const gateway = await processes.startGateway({ flags: ['--demo'] });
      await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
      for (const route of routes) {
        await openScreen(page, gateway.url + route);
        await expectAccessible(page);
      }
    });

    test(`dialogs and menus are accessible, in ${colorScheme}`, async ({ page, processes }) => {
      const redis = await processes.startRedis();
      const gateway = await processes.startGateway({ redis });
      await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
      await openScreen(page, gateway.url);
      for (const [open, name] of [
        [() => page.keyboard.press('Control+k'), 'Commands'],
        [() => page.getByRole('button', { name: 'Settings' }).click(), 'Settings'],
        [() => page.keyboard.press('?'), 'Keyboard shortcuts'],
        [() => pill(page).click(), 'Connection'],
      ] as const) {
        await open();
        const dialog = page.getByRole('dialog', { name });
        await expect(dialog).toBeVisible();
        await expectAccessible(page);
        await page.keyboard.press('Escape');
        await expect(dialog).toBeHidden();
      }
      const toast = page.getByRole('region', { name: 'New notifications' }).getByText('News');
      await expect(async () => {
        await redis.command('XADD', 'notifications', '*', 'data', '{"title":"News"}');
        await toast.first().hover({ timeout: 2_000 }); // a toast stays while the pointer is on it
      }).toPass();
      await expectAccessible(page);
    });
  }

  test('shares the one connection with those shown before', async ({ page, processes }) => {
    const gateway = await processes.startGateway({ flags: ['--demo'] });
    await openScreen(page, gateway.url);
    for (const name of ['Analytics', 'Logs', 'Notifications', 'Health']) {
      await page.getByRole('link', { name }).click();
      await expect(page.getByRole('heading', { level: 1, name })).toBeVisible();
      await expect(page).toHaveTitle(new RegExp(`${name} – Sluice$`));
      await expect.poll(gateway.connections).toBe(1);
    }
    await page.goBack();
    await expect(page.getByRole('heading', { level: 1, name: 'Notifications' })).toBeVisible();
  });
});

test.describe('with the keyboard', () => {
  test('the palette opens any screen', async ({ page, processes }) => {
    const gateway = await processes.startGateway({ flags: ['--demo'] });
    await openScreen(page, gateway.url);
    await page.keyboard.press('Control+k');
    const field = page.getByRole('combobox', { name: 'Command' });
    await expect(field).toBeFocused();
    await page.keyboard.type('health');
    await expect(page.locator('[role=option][data-highlighted]')).toContainText('Health');
    await page.keyboard.press('Enter');
    await expect(page.getByRole('heading', { level: 1, name: 'Health' })).toBeVisible();
    await expect(field).toBeHidden();

    await page.keyboard.press('Control+k');
    await expect(field).toBeFocused();
    await page.keyboard.type('theme');
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('Enter');
    await expect(page.locator('html')).toHaveAttribute('data-theme', 'dark');
    await page.reload();
    await expect(page.locator('html')).toHaveAttribute('data-theme', 'dark');

    await expect(pill(page)).toHaveText(/Live/);
    await page.keyboard.press('Control+k');
    await expect(field).toBeFocused();
    await page.keyboard.type('stream:logs');
    await page.keyboard.press('Enter');
    await expect(page).toHaveURL(/\/explorer\?stream=logs$/);

    await page.keyboard.press('Control+k');
    await expect(field).toBeFocused();
    await page.keyboard.press('Escape');
    await expect(field).toBeHidden();
  });

  test('keys open screens, and a link skips the menu', async ({ page, processes }) => {
    const gateway = await processes.startGateway({ flags: ['--demo'] });
    await openScreen(page, gateway.url);
    await page.keyboard.press('Tab');
    await expect(page.getByRole('link', { name: 'Skip to the content' })).toBeInViewport();
    await page.keyboard.press('Enter');
    await expect(page.getByRole('main')).toBeFocused();
    await page.keyboard.press('g');
    await page.keyboard.press('3');
    await expect(page.getByRole('heading', { level: 1, name: 'Logs' })).toBeVisible();
    await page.keyboard.press('?');
    const help = page.getByRole('dialog', { name: 'Keyboard shortcuts' });
    await expect(help.getByText('Go to Logs')).toBeVisible();
    await page.keyboard.press('Escape');
    await expect(help).toBeHidden();
  });

  test('single keys can be switched off', async ({ page, processes }) => {
    const gateway = await processes.startGateway({ flags: ['--demo'] });
    await openScreen(page, `${gateway.url}/logs`);
    await page.getByRole('button', { name: 'Settings' }).click();
    await page.getByRole('checkbox', { name: 'Single-key shortcuts' }).uncheck();
    await page.keyboard.press('Escape');
    await page.reload();
    await expect(pill(page)).toHaveText(/Live/);
    for (const key of ['?', '/', 'g', '1']) await page.keyboard.press(key);
    // Had one of those done something, this would not be the first.
    await page.keyboard.press('Control+k');
    await expect(page.getByRole('dialog')).toHaveCount(1);
    await expect(page.getByRole('dialog', { name: 'Commands' })).toBeVisible();
    await page.keyboard.press('Escape');
    await expect(page.getByRole('heading', { level: 1, name: 'Logs' })).toBeVisible();
    await expect(page.getByRole('searchbox', { name: 'Filter lines' })).not.toBeFocused();
  });

  test('the status button opens details', async ({ page, processes }) => {
    const gateway = await processes.startGateway({ flags: ['--heartbeat', '1s'] });
    await openScreen(page, gateway.url);
    await pill(page).click();
    const details = page.getByRole('dialog', { name: 'Connection' });
    await expect(details).toContainText(gateway.url);
    await expect(details).toContainText('nothing missed');
    await expect(details).toContainText(/about -?\d+ ms/);
    await page.keyboard.press('Escape');
    await expect(details).toBeHidden();
    await expect(pill(page)).toBeFocused();
  });
});

test.describe('notifications', () => {
  const note = (title: string) =>
    JSON.stringify({ time: new Date().toISOString(), title, body: 'Look.', severity: 'critical' });
  const add = (title: string) => ['XADD', 'notifications', '*', 'data', note(title)] as const;

  test('are shown on every screen, counted until they are read, and not twice', async ({
    page,
    context,
    processes,
  }) => {
    const redis = await processes.startRedis();
    await redis.command(
      'XADD',
      'notifications',
      '*',
      'data',
      '{"title":"Old","time":"2020-01-01T00:00:00Z"}',
    );
    const gateway = await processes.startGateway({ redis });
    await openScreen(page, gateway.url);
    const toasts = page.getByRole('region', { name: 'New notifications' });
    // Events that arrive shortly after the page loads count as old and have no toast.
    await expect(async () => {
      await redis.command(...add('Disk full'));
      await expect(toasts.getByText('Disk full').first()).toBeVisible({ timeout: 2_000 });
    }).toPass();
    const bottom = await page.getByRole('main').evaluate((it) => it.getBoundingClientRect().bottom);
    const top = await toasts.evaluate((it) => it.getBoundingClientRect().top);
    expect(top, 'toasts cover nothing').toBeGreaterThanOrEqual(bottom);
    await expect(page).toHaveTitle(/^\(\d+\) Live – Sluice$/);
    await expect(page.locator('link[rel="icon"]')).toHaveAttribute('href', '/favicon-unread.svg');

    await page.getByRole('link', { name: 'Notifications' }).click();
    const list = page.getByRole('list', { name: 'Notifications' }).getByRole('listitem');
    await page.getByRole('button', { name: 'Mark all read' }).click();
    await expect(page).toHaveTitle('Notifications – Sluice');
    await redis.command(...add('CPU hot'));
    await expect(list.filter({ hasText: 'CPU hot' })).toHaveCount(1);
    await expect(page).toHaveTitle('(1) Notifications – Sluice');

    const second = await context.newPage();
    await second.goto(`${gateway.url}/notifications`);
    const inSecond = second.getByRole('list', { name: 'Notifications' }).getByRole('listitem');
    await expect(inSecond.filter({ hasText: 'CPU hot' })).toHaveCount(1);
    await second.getByRole('button', { name: 'Mark read: CPU hot' }).click();
    await expect(page).toHaveTitle('Notifications – Sluice');

    await page.reload();
    await expect(list.filter({ hasText: 'CPU hot' })).toHaveCount(1);
    await expect(list.filter({ hasText: 'Old' })).toHaveCount(1);
    await expect(page).toHaveTitle('Notifications – Sluice');
  });
});

/** Counts as shown what the page gives to the desktop. */
const recordDesktop = (page: Page) =>
  page.addInitScript(() => {
    const shown: string[] = [];
    const show = (_: object, [title]: string[]) => {
      shown.push(title ?? '');
      return {};
    };
    const Stub = new Proxy(window.Notification, {
      construct: show,
      get: () => 'granted',
    });
    Object.assign(window, { shown, Notification: Stub });
    localStorage.setItem('sluice:desktop', 'on');
  });

test.describe('notifications of any kind', () => {
  const add = (topic: string, title: string) =>
    ['XADD', topic, '*', 'data', JSON.stringify({ title })] as const;
  const toasts = (page: Page) => page.getByRole('region', { name: 'New notifications' });

  /** Until what comes is no longer taken for the past. */
  async function untilNews(pages: readonly Page[], send: () => Promise<unknown>) {
    await expect(async () => {
      await send();
      for (const page of pages) {
        await expect(toasts(page).getByText('News').first()).toBeVisible({ timeout: 2_000 });
      }
    }).toPass();
  }

  test('are unread again when an equal one arrives', async ({ page, context, processes }) => {
    const redis = await processes.startRedis();
    const gateway = await processes.startGateway({ redis });
    await openScreen(page, gateway.url);
    await untilNews([page], () => redis.command(...add('notifications', 'News')));
    await page.getByRole('link', { name: 'Notifications' }).click();
    await expect(toasts(page)).toBeHidden();
    await page.getByRole('button', { name: 'Mark all read' }).click();
    await expect(page).toHaveTitle('Notifications – Sluice');
    await redis.command(...add('notifications', 'News'));
    await expect(page).toHaveTitle('(1) Notifications – Sluice');

    const second = await context.newPage();
    await second.goto(`${gateway.url}/notifications`);
    await expect(second).toHaveTitle('(1) Notifications – Sluice');
    await second.getByRole('button', { name: 'Mark all read' }).click();
    await expect(page).toHaveTitle('Notifications – Sluice');
    await page.reload();
    await expect(page.getByRole('listitem').filter({ hasText: 'News' }).first()).toBeVisible();
    await expect(page).toHaveTitle('Notifications – Sluice');
  });

  test('can be those of other topics on every screen', async ({ page, processes }) => {
    const redis = await processes.startRedis();
    const open = ['channel:updates', 'stream:notifications', 'stream:orders'];
    const gateway = await processes.startGateway({ redis, open });
    await openScreen(page, `${gateway.url}/notifications?stream=orders`);
    await expect(
      page.getByText('All screens now show notifications from stream:orders'),
    ).toBeVisible();
    await page.getByRole('link', { name: 'Live' }).click();
    await page.reload();
    await untilNews([page], () => redis.command(...add('orders', 'News')));
    await expect(page).toHaveTitle(/^\(1\) Live/);

    await page.getByRole('link', { name: 'Notifications' }).click();
    await expect(page.getByRole('listitem').filter({ hasText: 'News' }).first()).toBeVisible();
    await page.getByRole('button', { name: 'Back to stream:notifications' }).click();
    await expect(page.getByText('All screens now show notifications')).toBeHidden();
    await page.getByRole('link', { name: 'Live' }).click();
    await untilNews([page], () => redis.command(...add('notifications', 'News')));
  });

  test('reach the desktop if no tab is visible', async ({ page, context, processes }) => {
    const redis = await processes.startRedis();
    const gateway = await processes.startGateway({ redis });
    await recordDesktop(page);
    await page.addInitScript(() => {
      Object.defineProperty(document, 'hidden', { get: () => true });
    });
    await openScreen(page, `${gateway.url}/notifications`);
    const visible = await context.newPage();
    await openScreen(visible, gateway.url);
    await untilNews([visible], () => redis.command(...add('notifications', 'News')));
    await redis.command(...add('notifications', 'Seen'));
    await expect(page.getByRole('listitem').filter({ hasText: 'Seen' })).toBeVisible();
    const isAnyVisible = () =>
      page.evaluate(async () => {
        const { held = [] } = await navigator.locks.query();
        return held.some(({ name }) => name === 'sluice:visible');
      });
    expect(await isAnyVisible()).toBe(true);
    await visible.close();
    await expect.poll(isAnyVisible).toBe(false);
    await redis.command(...add('notifications', 'Alone'));
    const shown = () => page.evaluate(() => (window as unknown as { shown: string[] }).shown);
    await expect.poll(shown).toEqual(['Alone']);
  });

  test('report that the browser does not show them', async ({ page, processes }) => {
    const gateway = await processes.startGateway();
    await page.addInitScript(() => {
      window.Notification = new Proxy(window.Notification, {
        get: (_, name) =>
          name === 'permission' ? 'granted' : () => Promise.resolve('granted' as const),
        construct: () => {
          throw new TypeError('Illegal constructor.');
        },
      });
    });
    await openScreen(page, `${gateway.url}/notifications`);
    await page.getByRole('button', { name: 'Enable desktop notifications' }).click();
    await expect(page.getByText('This browser cannot show desktop notifications')).toBeVisible();
    await expect(page.getByRole('button', { name: 'Disable desktop notifications' })).toBeHidden();
  });

  test.describe('that need a token', () => {
    test.use({ expectNetworkErrors: true });

    test('arrive as soon as there is one', async ({ page, live, processes }) => {
      const redis = await processes.startRedis();
      const gateway = await processes.startGateway({
        redis,
        open: ['channel:updates'],
        flags: ['--jwt-secret', secret],
      });
      await live.open(gateway.url);
      await page.reload(); // by now it is known that they are refused
      await live.expectLive();
      await page.getByRole('button', { name: 'Settings' }).click();
      await page.getByLabel('Access token').fill(tokenFor(['channel:*', 'stream:*']));
      await page.getByRole('button', { name: 'Use' }).click();
      await untilNews([page], () => redis.command(...add('notifications', 'News')));
    });
  });
});

test.describe('a topic that is not allowed', () => {
  test.use({ expectNetworkErrors: true });

  test('fits a narrow phone, with the wait for the next try', async ({ page, processes }) => {
    const gateway = await processes.startGateway({ open: ['channel:nothing'] });
    await page.setViewportSize({ width: 320, height: 640 });
    await page.goto(`${gateway.url}/prices`);
    await expect(page.getByText("You don't have access to key:price:*")).toBeVisible();
    await expect(pill(page)).toHaveText(/Retrying in \d\d s/);
    for (const font of fonts) {
      await useFont(page, font);
      await expect.poll(() => overflows(page), font).toEqual([]);
    }
  });

  test('does not affect the others, and is explained', async ({ page, live, processes }) => {
    const gateway = await processes.startGateway();
    await page.goto(`${gateway.url}/?channel=updates&channel=secret`);
    await expect(page.getByText("You don't have access to channel:secret")).toBeVisible();
    await expect(
      page.getByText("--allow-subscribe 'channel:updates,channel:secret'"),
    ).toBeVisible();
    await live.expectLive();
    await gateway.publish('updates', 'still here');
    await expect(live.rows.first()).toContainText('still here');
  });

  test('is not offered if the text is not a topic', async ({ page, processes }) => {
    const gateway = await processes.startGateway();
    await page.goto(`${gateway.url}/explorer?channel=%5B`);
    await expect(page.getByText('channel:[ cannot be followed')).toBeVisible();
    await expect(page.getByRole('button', { name: 'Enter a token' })).toBeHidden();
  });

  test('does not disturb a page that only looks for notifications', async ({
    page,
    live,
    processes,
  }) => {
    const gateway = await processes.startGateway({ open: ['channel:updates'] });
    await live.open(gateway.url);
    await gateway.publish('updates', 'x');
    await expect(live.rows.first()).toContainText('x');
    const requests: string[] = [];
    page.on('request', (request) => requests.push(request.url()));
    await page.reload();
    await live.expectLive();
    expect(requests.filter((url) => url.includes('stream=notifications'))).toEqual([]);
    await page.getByRole('link', { name: 'Notifications' }).click();
    await expect(page.getByText("You don't have access to stream:notifications")).toBeVisible();
  });
});
