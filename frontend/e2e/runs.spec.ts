import { expect, test } from './fixtures';

test('a run appears word by word, continues after a reload, and ends', async ({
  context,
  page,
  processes,
}) => {
  const redis = await processes.startRedis();
  const open = ['stream:run:*', 'key:run:latest', 'stream:notifications'];
  const gateway = await processes.startGateway({ redis, open });
  const write = (...fields: string[]) => redis.command('XADD', 'run:1', '*', ...fields);
  await write('data', 'One ');
  await redis.command('SET', 'run:latest', 'stream:run:1');

  let requests = 0;
  page.on('request', (request) => {
    if (request.url().includes('stream=run')) requests += 1;
  });
  await page.goto(`${gateway.url}/runs`);
  const answer = page.getByRole('article', { name: 'stream:run:1' });
  await expect(answer.getByText('One')).toBeVisible();
  await expect(answer.getByRole('status')).toHaveText('Being written');
  await write('data', 'two ');
  await expect(answer.getByText('One two')).toBeVisible();

  await page.reload();
  await expect(answer.getByText('One two')).toBeVisible();
  await write('data', 'three.');
  await expect(answer.getByText('One two three.')).toBeVisible();

  const second = await context.newPage();
  await second.goto(`${gateway.url}/runs`);
  await expect(second.getByText('One two three.')).toBeVisible();

  await write('data', '{"words":3}', 'event', 'stream.end');
  for (const shown of [page, second]) {
    await expect(shown.getByRole('article').getByRole('status')).toHaveText('Complete');
  }
  await expect(answer.getByText('3 entries')).toBeVisible();
  // An EventSource would ask again within seconds; after the end nobody does.
  const before = requests;
  await redis.command('SET', 'run:latest', 'stream:run:2');
  await expect(page.getByRole('article', { name: 'stream:run:2' })).toBeVisible();
  expect(requests).toBe(before + 1);
});
