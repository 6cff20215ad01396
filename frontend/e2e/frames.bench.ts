import { connect } from 'node:net';
import { loadavg } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { openBarePage } from './bare-browser';
import { expect, test } from './fixtures';
import { encodeCommand } from './processes';

const RATE = 5_000;
const SECONDS = 20;
/** Batches a second: real publishers are not perfectly regular either. */
const BATCHES = 50;

interface Frames {
  readonly times: number[];
  readonly longTasks: number[];
}

/** Writes down the time between frames, and tasks longer than 50 ms, from now on. */
function record() {
  const frames: Frames = { times: [], longTasks: [] };
  Object.assign(window, { frames });
  let last = performance.now();
  const next = (now: number) => {
    frames.times.push(now - last);
    last = now;
    requestAnimationFrame(next);
  };
  requestAnimationFrame(next);
  new PerformanceObserver((list) => {
    frames.longTasks.push(...list.getEntries().map(({ duration }) => duration));
  }).observe({ entryTypes: ['longtask'] });
}

function summary({ times, longTasks }: Frames): string {
  const sorted = times.slice(1).toSorted((a, b) => a - b);
  const at = (part: number) => (sorted[Math.floor(sorted.length * part)] ?? NaN).toFixed(1);
  const perSecond = (1_000 * sorted.length) / sorted.reduce((sum, time) => sum + time, 0);
  return [
    `${perSecond.toFixed(1)} frames/s`,
    `frame time p50 ${at(0.5)} ms, p95 ${at(0.95)} ms, p99 ${at(0.99)} ms, max ${at(0.9999)} ms`,
    `${longTasks.length} long tasks, the longest ${Math.max(0, ...longTasks).toFixed(0)} ms`,
  ].join('; ');
}

// Figures for people: a busy machine makes them worse, so no test depends on them.
for (const [name, path, topic] of [
  ['an idle page', '/', undefined],
  ['Live', '/?channel=load', 'channel load'],
  ['Logs', '/logs?stream=load', 'stream load'],
] as const) {
  test(`${name} at ${topic ? RATE : 0} events/s`, async ({ processes }) => {
    test.setTimeout(180_000);
    const redis = await processes.startRedis();
    const gateway = await processes.startGateway({
      redis,
      open: ['channel:*', 'stream:load', 'stream:notifications'],
    });
    const page = await openBarePage(gateway.url + path);
    await expect.poll(gateway.connections).toBe(1);
    await page.evaluate(`(${record.toString()})()`);

    const publisher = connect(redis.port, '127.0.0.1').resume();
    let sent = 0;
    const begin = Date.now();
    while (Date.now() - begin < SECONDS * 1_000) {
      const due = topic ? Math.floor(((Date.now() - begin) * RATE) / 1_000) - sent : 0;
      for (let n = 0; n < due; n++) {
        publisher.write(encodeCommand(command(topic ?? '', ++sent)));
      }
      await delay(1_000 / BATCHES);
    }
    publisher.destroy();
    const seconds = (Date.now() - begin) / 1_000;
    const frames = (await page.evaluate('window.frames')) as Frames;
    // A page that falls behind has no frames to be proud of.
    const shows = async () =>
      await page.evaluate(`document.body.innerText.includes('event ${sent}')`);
    if (topic) await expect.poll(shows).toBe(true);
    await page.close();
    const load = (loadavg()[0] ?? 0).toFixed(1);
    console.log(
      `${name}: ${(sent / seconds).toFixed(0)} events/s; ${summary(frames)}; load average ${load}`,
    );
  });
}

function command(topic: string, n: number): string[] {
  const data = JSON.stringify({ level: 'info', service: 'load', message: `event ${n}`, n });
  const [kind, name = ''] = topic.split(' ');
  return kind === 'stream'
    ? ['XADD', name, 'MAXLEN', '~', '10000', '*', 'data', data]
    : ['PUBLISH', name, data];
}
