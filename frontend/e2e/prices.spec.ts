import { expectAccessible } from './axe';
import { expect, test } from './fixtures';
import { fonts, overflows, useFont } from './fonts';

const flags = ['--allow-subscribe', 'key:*,stream:notifications'];

test('prices change in place, flash, sort, and disappear with their keys', async ({
  page,
  processes,
}) => {
  const redis = await processes.startRedis();
  const gateway = await processes.startGateway({ redis, flags });
  for (const [name, price] of Object.entries({ A: '100', B: '20.50', C: '5' })) {
    await redis.command('SET', `price:${name}`, price);
  }
  await page.goto(`${gateway.url}/prices`);
  const row = (name: string) => page.getByRole('row', { name: new RegExp(`^price:${name}`) });
  const names = page.getByRole('rowheader');
  await expect(names).toHaveText(['price:A', 'price:B', 'price:C']);
  await expect(row('A')).toContainText('0.00%');

  await redis.command('SET', 'price:A', '110');
  await expect(row('A')).toContainText('+10.00%');
  // Not by colour alone.
  await expect(row('A').getByText('▲')).toBeVisible();
  await expect(row('A').locator('[data-direction]')).toHaveAttribute('data-direction', 'up');
  await expect(row('A').locator('polyline')).toBeVisible();
  await redis.command('SET', 'price:B', '20.4');
  await expect(row('B')).toContainText('20.40');
  await expect(row('B')).toContainText('-0.49%');
  await expect(row('B').getByText('▼')).toBeVisible();

  await page.getByRole('button', { name: 'Change' }).click();
  await expect(names).toHaveText(['price:A', 'price:C', 'price:B']);
  await expect(page.getByRole('columnheader', { name: 'Change' })).toHaveAttribute(
    'aria-sort',
    'descending',
  );

  await redis.command('DEL', 'price:C');
  await expect(row('C')).toContainText('gone');
  await expectAccessible(page);
  await redis.command('SET', 'price:C', '6');
  await expect(row('C')).toContainText('+20.00%');
  await expect(row('C')).not.toContainText('gone');

  await page.getByRole('searchbox').fill(':b');
  await expect(names).toHaveText(['price:B']);
});

test.describe('after a gateway that is replaced', () => {
  test.use({ expectNetworkErrors: true });

  test('a key that was deleted in the meantime is not shown as current', async ({
    page,
    processes,
  }) => {
    const redis = await processes.startRedis();
    const gateway = await processes.startGateway({ redis, flags });
    for (const name of ['A', 'B']) await redis.command('SET', `price:${name}`, '100');
    await page.goto(`${gateway.url}/prices`);
    const row = (name: string) => page.getByRole('row', { name: new RegExp(`^price:${name}`) });
    await expect(row('B')).toContainText('100');
    await gateway.kill();
    await redis.command('DEL', 'price:B');
    await gateway.restart();
    await expect(row('B')).toContainText('not known since a gap');
    await expect(row('A')).not.toContainText('not known');
    await redis.command('SET', 'price:B', '110');
    await expect(row('B')).toContainText('+10.00%');
    await expect(row('B')).not.toContainText('not known');
  });
});

test('values of any shape are shown', async ({ page, processes }) => {
  const redis = await processes.startRedis();
  const gateway = await processes.startGateway({ redis, flags });
  await redis.command('HSET', 'stock:hash', 'price', '12.5', 'venue', 'X');
  await redis.command('SET', 'stock:text', 'closed');
  await redis.command('RPUSH', 'stock:list', 'a', 'b');
  await redis.command('XADD', 'stock:stream', '*', 'a', 'b');
  await page.goto(`${gateway.url}/prices?key=stock:*`);
  const row = (name: string) => page.getByRole('row', { name: new RegExp(`^stock:${name}`) });
  await expect(row('hash')).toContainText(/venue=X\s*12\.5/);
  await expect(row('text')).toContainText('closed');
  await expect(row('list')).toContainText('["a","b"]');
  await expect(row('stream')).toContainText('a type that cannot be shown');
});

test('nothing moves with reduced motion', async ({ page, processes }) => {
  await page.emulateMedia({ reducedMotion: 'reduce' });
  const redis = await processes.startRedis();
  const gateway = await processes.startGateway({ redis, flags });
  await redis.command('SET', 'price:A', '1');
  await page.goto(`${gateway.url}/prices`);
  await expect(page.getByRole('rowheader')).toHaveText('price:A');
  await redis.command('SET', 'price:A', '2');
  const price = page.locator('[data-direction=up]');
  await expect(price).toContainText('2');
  await expect(price).toHaveCSS('animation-name', 'none');
});

test('long prices and details fit a phone', async ({ page, processes }) => {
  const redis = await processes.startRedis();
  const value = JSON.stringify({ price: 1_234_567_890.123456, venue: 'x'.repeat(40) });
  await redis.command('SET', 'price:a', value);
  const gateway = await processes.startGateway({ redis, flags });
  await page.goto(`${gateway.url}/prices`);
  const change = page.getByRole('cell', { name: '0.00%' });
  await expect(change).toBeVisible();
  for (const width of [320, 390]) {
    await page.setViewportSize({ width, height: 740 });
    for (const font of fonts) {
      await useFont(page, font);
      await expect.poll(() => overflows(page), `${width} pixels, ${font} font`).toEqual([]);
    }
  }
});
