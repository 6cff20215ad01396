import { openBarePage } from './bare-browser';
import { expect, test } from './fixtures';

const script = {
  isLive: `document.querySelector('[data-phase]')?.dataset.phase === 'live'`,
  rows: `[...document.querySelectorAll('[role=log] li')].map((row) => row.textContent).toReversed()`,
  recordStates: `window.states = [];
    for (const name of ['freeze', 'resume'])
      document.addEventListener(name, () => states.push(name));`,
  states: `states`,
};

test('a page that slept resumes, and shows a gap for messages that were not kept', async ({
  processes,
}) => {
  const redis = await processes.startRedis();
  const gateway = await processes.startGateway({
    redis,
    open: ['stream:orders', 'channel:updates', 'stream:notifications'],
  });
  const order = (n: number) => redis.command('XADD', 'orders', '*', 'data', `event ${n}`);
  const page = await openBarePage(`${gateway.url}/?stream=orders&channel=updates`);
  try {
    await expect.poll(() => page.evaluate(script.isLive)).toBe(true);
    const rows = async (topic: string) => {
      const texts = (await page.evaluate(script.rows)) as string[];
      return texts.flatMap((text) => text.split(topic)[1] ?? []);
    };
    await order(1);
    await expect.poll(() => rows('stream:orders')).toEqual(['event 1']);

    await page.evaluate(script.recordStates);
    await page.freeze();
    await order(2);
    await gateway.kill();
    await order(3);
    await redis.publish('updates', 'seen by no gateway');
    await gateway.restart();
    await page.wake();
    expect(await page.evaluate(script.states)).toEqual(['freeze', 'resume']);

    await expect.poll(() => rows('stream:orders')).toEqual(['event 1', 'event 2', 'event 3']);
    await order(4);
    await expect
      .poll(() => rows('stream:orders'))
      .toEqual(['event 1', 'event 2', 'event 3', 'event 4']);
    const all = (await page.evaluate(script.rows)) as string[];
    expect(all.filter((text) => text.includes('missed'))).toEqual([
      expect.stringContaining('channel:updates'),
    ]);
  } finally {
    await page.close();
  }
});
