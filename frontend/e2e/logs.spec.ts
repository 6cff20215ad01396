import { readFile } from 'node:fs/promises';
import type { Locator, Page } from '@playwright/test';
import { expectAccessible } from './axe';
import { expect, interruptScroll, test } from './fixtures';
import type { Gateway, Processes } from './processes';

const levels = ['info', 'debug', 'warn', 'error'];

const numbers = new Intl.NumberFormat('en');

const line = (n: number) =>
  JSON.stringify({ level: levels[n % 4], service: 'shop', message: `order ${n} placed`, n });

function* appends(from: number, to: number) {
  for (let n = from; n <= to; n++) yield ['XADD', 'logs', '*', 'data', line(n)];
}

/** The logs screen, as a user sees it. */
class LogsPage {
  readonly list: Locator;
  readonly rows: Locator;
  readonly filter: Locator;

  constructor(readonly page: Page) {
    this.list = page.getByRole('listbox', { name: 'Log lines' });
    this.rows = this.list.getByRole('option');
    this.filter = page.getByRole('searchbox', { name: 'Filter lines' });
  }

  async open(gateway: Gateway) {
    await this.page.goto(`${gateway.url}/logs`);
  }

  button(name: string | RegExp) {
    return this.page.getByRole('button', { name });
  }

  /** Scrolls the list down by a number of pixels, and waits until the list has noticed it. */
  async scrollBy(pixels: number) {
    await this.list.evaluate(async (list, top) => {
      const scrolled = new Promise((resolve) => {
        list.addEventListener('scroll', resolve, { once: true });
      });
      list.scrollBy({ top });
      await scrolled;
    }, pixels);
  }

  /** The footer's `12 of 1,000 lines`. */
  async expectCount(text: string) {
    await expect(this.page.getByText(`${text} lines`, { exact: true })).toBeVisible();
  }
}

async function start(page: Page, processes: Processes) {
  const redis = await processes.startRedis();
  const flags = ['--allow-subscribe', 'stream:logs,stream:notifications'];
  const gateway = await processes.startGateway({ redis, flags });
  return { redis, gateway, logs: new LogsPage(page) };
}

test('shows new lines, filters them by level and by text', async ({ page, processes }) => {
  const { redis, gateway, logs } = await start(page, processes);
  await redis.pipe(appends(1, 40));
  await logs.open(gateway);
  await expect(logs.rows.last()).toContainText('shop order 40 placed n=40');
  await logs.expectCount('40 of 40');

  await redis.command('XADD', 'logs', '*', 'data', 'FATAL <b>plain</b> text');
  await expect(logs.rows.last()).toHaveText(/fatal.*FATAL <b>plain<\/b> text$/);

  await logs.button(/^info/).click();
  await logs.expectCount('31 of 41');
  await logs.filter.fill('ORDER 1');
  await logs.expectCount('9 of 41');
  await expect(logs.rows.last().locator('mark')).toHaveText('order 1');

  await redis.pipe(appends(1_001, 1_001));
  await logs.expectCount('10 of 42');
  await expect(logs.rows.last()).toContainText('order 1001 placed');
});

test('filters by regular expression, explains a bad one, and never hangs', async ({
  page,
  processes,
}) => {
  const { redis, gateway, logs } = await start(page, processes);
  await redis.pipe(appends(1, 100));
  await redis.command('XADD', 'logs', '*', 'data', `${'a'.repeat(4_000)}!`);
  await logs.open(gateway);
  await logs.expectCount('101 of 101');

  await logs.button('Regular expression').click();
  await logs.filter.fill('order (1|2)\\d placed$|n=7$');
  await logs.expectCount('1 of 101');
  await logs.filter.fill('(order');
  await expect(page.getByText('Invalid regular expression: missing closing )')).toBeVisible();
  await logs.expectCount('1 of 101');
  // Backtracking would take longer than the age of the universe.
  await logs.filter.fill('(a|a)*(a+)+$');
  await logs.expectCount('0 of 101');
  await logs.filter.fill('');
  await logs.expectCount('101 of 101');
});

test('a hundred thousand lines are kept, scrolled and filtered', async ({ page, processes }) => {
  test.setTimeout(600_000);
  const { redis, gateway, logs } = await start(page, processes);
  await logs.open(gateway);
  await expect(page.getByText('Waiting for the first event')).toBeVisible();
  // A page that is slow must not fall behind what the gateway keeps: that would be a gap.
  for (let n = 0; n < 100_000; n += 2_000) {
    await redis.pipe(appends(n + 1, n + 2_000));
    const count = numbers.format(n + 2_000);
    await logs.expectCount(`${count} of ${count}`);
  }
  await expect(logs.rows.last()).toContainText('order 100000 placed');
  expect(await logs.rows.count()).toBeLessThan(200);

  // To the top and through the middle, as with the scroll bar.
  for (const [share, expected] of [
    [0, 'order 1 placed'],
    [0.5, 'order 50005 placed'],
  ] as const) {
    await logs.list.evaluate((list, top) => list.scrollTo(0, list.scrollHeight * top), share);
    await expect(logs.rows.filter({ hasText: expected })).toBeInViewport();
  }

  await redis.pipe(appends(100_001, 100_010));
  await logs.button('↓ 10 new').click();
  await expect(logs.rows.last()).toContainText('order 100010 placed');
  await expect(logs.rows.last()).toBeInViewport();
  await expect(page.getByText('10 older lines removed')).toBeVisible();

  await logs.filter.fill('order 99999 ');
  await logs.expectCount('1 of 100,000');
  await logs.button('Regular expression').click();
  await logs.filter.fill('^shop order \\d+000 ');
  await logs.expectCount('100 of 100,000');
});

test('a paused list does not change and receives events', async ({ page, processes }) => {
  const { redis, gateway, logs } = await start(page, processes);
  await redis.pipe(appends(1, 5));
  await logs.open(gateway);
  await logs.expectCount('5 of 5');
  await logs.button('Pause').click();
  await redis.pipe(appends(6, 25));
  await expect(logs.button('↓ 20 new')).toBeVisible();
  await logs.expectCount('5 of 25');
  await expect(logs.rows.last()).toContainText('order 5 placed');
  await logs.button('Resume').click();
  await logs.expectCount('25 of 25');
  await expect(logs.rows.last()).toContainText('order 25 placed');
});

test('a pause lasts until the reader ends it, wherever the list is scrolled', async ({
  page,
  processes,
}) => {
  const { redis, gateway, logs } = await start(page, processes);
  await redis.pipe(appends(1, 200));
  await logs.open(gateway);
  await logs.expectCount('200 of 200');
  // First by scrolling, which scrolling would end too.
  await logs.scrollBy(-200 * 28);
  await logs.button('Resume').click();
  await logs.button('Pause').click();
  await logs.scrollBy(-200 * 28);
  await logs.scrollBy(200 * 28);
  await redis.pipe(appends(201, 203));
  await logs.expectCount('200 of 203');
  await expect(logs.button('↓ 3 new')).toBeVisible();
});

test('the list goes where the reader wants also while a scroll is animated', async ({
  page,
  processes,
}) => {
  const { redis, gateway, logs } = await start(page, processes);
  await redis.pipe(appends(1, 200));
  await logs.open(gateway);
  await logs.expectCount('200 of 200');
  await interruptScroll(logs.list, 'PageUp', 'Resume');
  await expect(logs.rows.last()).toBeInViewport();
  await expect(logs.rows.last()).toContainText('order 200 placed');
  await expect(logs.button('Pause')).toBeVisible();

  await interruptScroll(logs.list, 'PageUp', 'ArrowUp');
  await expect(logs.page.getByRole('option', { selected: true })).toContainText('order 200 placed');
  await expect(logs.rows.last()).toBeInViewport();
});

test('the first pixels of a scroll away from the end keep the hold', async ({
  page,
  processes,
}) => {
  const { redis, gateway, logs } = await start(page, processes);
  await redis.pipe(appends(1, 200));
  await logs.open(gateway);
  await logs.expectCount('200 of 200');
  await logs.list.press('ArrowUp');
  await expect(logs.button('Resume')).toBeVisible();
  await logs.scrollBy(-4);
  await redis.pipe(appends(201, 203));
  await expect(logs.button('↓ 3 new')).toBeVisible();
});

test('the filter is in the address, and survives a visit to another screen', async ({
  page,
  processes,
}) => {
  const { redis, gateway, logs } = await start(page, processes);
  await redis.pipe(appends(1, 40));
  await logs.open(gateway);
  await logs.button(/^debug/).click();
  await logs.button('Regular expression').click();
  await logs.filter.fill('order (4|8) placed');
  await logs.expectCount('2 of 40');
  await expect(page).toHaveURL(/filter=order/);

  await page.getByRole('link', { name: 'Explorer' }).click();
  await expect(page.getByRole('heading', { level: 1, name: 'Explorer' })).toBeVisible();
  await page.getByRole('link', { name: 'Logs' }).click();
  await logs.expectCount('2 of 40');
  await page.reload();
  await logs.expectCount('2 of 40');
  await expect(logs.filter).toHaveValue('order (4|8) placed');
  await expect(logs.button(/^debug/)).toHaveAttribute('aria-pressed', 'false');
});

test('can be used with the keyboard alone', async ({ page, processes }) => {
  const { redis, gateway, logs } = await start(page, processes);
  await redis.pipe(appends(1, 200));
  await logs.open(gateway);
  await logs.expectCount('200 of 200');

  await page.keyboard.press('/');
  await expect(logs.filter).toBeFocused();
  await page.keyboard.type('placed');
  await logs.list.focus();
  await page.keyboard.press('ArrowUp');
  await page.keyboard.press('ArrowUp');
  await expect(logs.list.getByRole('option', { selected: true })).toContainText('order 199 placed');
  await page.keyboard.press('Enter');
  const detail = page.getByRole('complementary', { name: 'Detail' });
  await expect(detail).toContainText('"message": "order 199 placed"');
  await expectAccessible(page);
  await page.keyboard.press('Home');
  await expect(detail).toContainText('"n": 1');
  await expect(logs.rows.first()).toBeInViewport();

  // A reader of the screen is not pointed to a row that is not there.
  await expect(logs.list).toHaveAttribute('aria-activedescendant', /./);
  await logs.list.evaluate((list) => list.scrollTo(0, list.scrollHeight));
  await expect(logs.list).not.toHaveAttribute('aria-activedescendant', /./);
  await page.keyboard.press('Escape');
  await expect(detail).toHaveCount(0);
  await page.keyboard.press('End');
  await expect(logs.rows.last()).toBeInViewport();
  await page.keyboard.press('Space');
  await expect(logs.button('Resume')).toBeVisible();
  await page.keyboard.press('Space');
  await expect(logs.button('Pause')).toBeVisible();
});

test('the lines shown can be saved as NDJSON', async ({ page, processes }) => {
  const { redis, gateway, logs } = await start(page, processes);
  await redis.pipe(appends(1, 12));
  await logs.open(gateway);
  await logs.filter.fill('order 1');
  await logs.expectCount('4 of 12');
  const downloading = page.waitForEvent('download');
  await logs.button(/^Export/).click();
  const file = await readFile(await (await downloading).path(), 'utf8');
  const events = file
    .trimEnd()
    .split('\n')
    .map((text) => JSON.parse(text) as { topic: string; data: { n: number } });
  expect(events.map(({ data }) => data.n)).toEqual([1, 10, 11, 12]);
  expect(events[0]?.topic).toBe('stream:logs');
});

test.describe('a tail with missing lines', () => {
  test.use({ expectNetworkErrors: true });

  test('a gap row appears in its place', async ({ page, processes }) => {
    const { redis, gateway, logs } = await start(page, processes);
    await redis.pipe(appends(1, 3));
    await logs.open(gateway);
    await logs.expectCount('3 of 3');
    await gateway.kill();
    await redis.pipe(appends(4, 30));
    await redis.command('XTRIM', 'logs', 'MAXLEN', '5');
    await gateway.restart();
    await expect(logs.rows.filter({ hasText: 'missed' })).toHaveCount(1);
    await expect(logs.rows.nth(2)).toContainText('order 3 placed');
    await expect(logs.rows.nth(3)).toContainText('missed');
    await expect(logs.rows.nth(4)).toContainText('order 26 placed');
  });
});
