import { dataOf, expect, openTab, series, test } from './fixtures';

test.describe('tabs of one browser', () => {
  test('share one connection, whatever each of them shows', async ({ context, processes }) => {
    const gateway = await processes.startGateway({
      open: ['channel:*', 'stream:logs', 'stream:notifications'],
    });
    const one = await openTab(context, gateway.url);
    const two = await openTab(context, gateway.url);
    const three = await openTab(context, `${gateway.url}/?channel=other`);
    const others = [two, three];
    for (const path of ['/logs', '/notifications']) {
      const page = await context.newPage();
      await page.goto(gateway.url + path);
      await expect(page.getByRole('button', { name: /^Connection: Live/ })).toBeVisible();
      others.push(page);
    }
    await expect.poll(gateway.connections).toBe(1);
    await gateway.publish('updates', 'to two');
    await gateway.publish('other', 'to one');
    await expect.poll(() => dataOf(one)).toEqual(['to two']);
    await expect.poll(() => dataOf(two)).toEqual(['to two']);
    await expect.poll(() => dataOf(three)).toEqual(['to one']);
    expect(await gateway.connections()).toBe(1);

    for (const tab of others) await tab.close();
    await gateway.publish('updates', 'to the last');
    await expect.poll(() => dataOf(one)).toEqual(['to two', 'to the last']);
    await one.close();
    await expect.poll(gateway.connections).toBe(0);
  });

  test('share one connection through reloads, and on other screens', async ({
    context,
    processes,
  }) => {
    const gateway = await processes.startGateway({ flags: ['--demo'] });
    const one = await openTab(context, gateway.url);
    const goTo = async (name: string, first: string) => {
      await one.getByRole('link', { name, exact: true }).click();
      await expect(one.getByRole('main').getByText(first).first()).toBeVisible();
      await expect.poll(gateway.connections).toBe(1);
    };
    for (const name of ['Analytics', 'Health', 'Analytics']) {
      await goTo(name, name === 'Health' ? 'CPU' : 'Page views');
    }
    await one.reload();
    await goTo('Live', 'received');
    const two = await openTab(context, gateway.url);
    await expect.poll(gateway.connections).toBe(1);
    await one.close();
    await expect(two.getByText(/^[\d,]+ received$/)).toBeVisible();
    await openTab(context, gateway.url);
    await expect.poll(gateway.connections).toBe(1);
  });

  test('lose and repeat nothing when others are closed under load', async ({
    context,
    processes,
  }) => {
    const gateway = await processes.startGateway();
    const first = await openTab(context, gateway.url);
    const second = await openTab(context, gateway.url);
    const third = await openTab(context, gateway.url);
    await expect.poll(gateway.connections).toBe(1);

    const batches = 100;
    const size = 20;
    for (let n = 0; n < batches; n++) {
      await gateway.publishAll('updates', series(n * size + 1, (n + 1) * size));
      if (n === 30) void first.close();
      if (n === 60) void second.close();
    }
    await expect(third.getByText('2,000 received')).toBeVisible();
    await third.getByRole('button', { name: 'Pause' }).click(); // renders all rows
    expect(await dataOf(third)).toEqual(series(1_801, 2_000));
    await expect(third.getByText('missed')).toBeHidden();
    await expect.poll(gateway.connections).toBe(1);
  });

  test('receive events while another one is blocked', async ({ context, processes }) => {
    const gateway = await processes.startGateway();
    const first = await openTab(context, gateway.url);
    const other = await openTab(context, gateway.url);
    await gateway.publish('updates', '1');
    await expect.poll(() => dataOf(other)).toEqual(['1']);

    // A script that never yields looks like a frozen page to the other tabs.
    const stuck = first.evaluate(() => {
      const end = Date.now() + 20_000;
      while (Date.now() < end);
    });
    for (let n = 2; n <= 20; n++) await gateway.publish('updates', String(n));
    await expect.poll(() => dataOf(other)).toEqual(series(1, 20));
    await stuck;
    await gateway.publish('updates', '21');
    await expect.poll(() => dataOf(other)).toEqual(series(1, 21));
    await expect.poll(() => dataOf(first)).toEqual(series(1, 21));
    await expect.poll(gateway.connections).toBe(1);
  });
});
