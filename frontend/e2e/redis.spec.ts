import { expect, test } from './fixtures';

test('messages of redis-cli appear at once, unchanged', async ({ page, live, processes }) => {
  const redis = await processes.startRedis();
  await live.open((await processes.startGateway({ redis })).url);
  await expect(page.getByText('Waiting for the first event')).toBeVisible();

  await redis.publish('updates', '{"time":"2026-01-01T00:00:00.000Z","value":7}');
  await expect(live.rows.first()).toContainText('Time: 2026-01-01T00:00:00.000Z | Value: 7');

  await redis.publish('updates', '{ "order": 12, "note": "größer 😀" }');
  await expect(live.rows.first()).toContainText('{"order":12,"note":"größer 😀"}');

  const markup = '<img src=x onerror="throw new Error()"> & <b>bold</b>';
  await redis.publish('updates', markup);
  await expect(live.rows.first()).toContainText(markup);
  await expect(live.log.locator('img, b')).toHaveCount(0);

  await redis.publish('updates', 'first line\nid: 99\n\nevent: stream.close\nlast line');
  await expect(live.rows.first()).toContainText(
    /first line\s+id: 99\s+event: stream\.close\s+last line/,
  );

  await redis.publish('updates', 'x'.repeat(1024 * 1024));
  await expect(live.button('Show all 1,048,576 characters')).toBeVisible();
  await expect(page.getByText('5 received')).toBeVisible();
});

test('after Redis was killed and started again, there is a gap row, and events arrive', async ({
  live,
  processes,
}) => {
  const redis = await processes.startRedis();
  await live.open((await processes.startGateway({ redis })).url);
  await redis.publish('updates', 'before');
  await expect(live.rows.first()).toContainText('before');

  await redis.kill();
  await redis.restart();
  const gap = live.rows.filter({ hasText: 'Some events may have been missed' });
  await expect(gap.first()).toBeVisible();

  await redis.publish('updates', 'after');
  await expect(live.rows.first()).toContainText('after');
  await expect(live.rows.last()).toContainText('before');
  await live.expectLive();
});
