import { expect, test } from './fixtures';
import { secret, tokenFor } from './tokens';

/** Seconds: more than it takes to enter the token, and to see an event. */
const LIFETIME = 60;

test.use({ expectNetworkErrors: true });

test('a token that expires can be replaced without loss', async ({ page, live, processes }) => {
  const redis = await processes.startRedis();
  const gateway = await processes.startGateway({ redis, flags: ['--jwt-secret', secret] });
  const add = (data: string) => redis.command('XADD', 'orders', '*', 'data', data);
  const enter = async (token: string) => {
    await page.getByLabel('Access token').fill(token);
    await page.getByRole('button', { name: 'Use' }).click();
  };

  await page.goto(`${gateway.url}/?stream=orders`);
  await expect(page.getByText("You don't have access to stream:orders")).toBeVisible();
  await page.getByRole('button', { name: 'Enter a token' }).first().click();
  await enter(tokenFor(['stream:*'], LIFETIME));
  await live.expectLive();
  await add('event 1');
  await expect(live.rows).toHaveText([/event 1$/]);

  const notice = page.getByText(/401.*has expired/);
  await expect(notice).toBeVisible({ timeout: 1_000 * LIFETIME + 60_000 });
  await expect(live.rows).toHaveText([/event 1$/]);
  await add('event 2');
  await page.getByRole('button', { name: 'Enter a token' }).first().click();
  await enter(tokenFor(['stream:*']));
  await live.expectLive();
  await expect(notice).toBeHidden();
  await add('event 3');
  await expect(live.rows).toHaveText([/event 3$/, /event 2$/, /event 1$/]);
  await live.button(/^Connection:/).click();
  await expect(page.getByRole('dialog', { name: 'Connection' })).toContainText('nothing missed');
});
