import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';

/** A page without the observers of Playwright, which can be in the background. */
export interface BarePage {
  /** Runs JavaScript in the page; returns what it evaluates to, as JSON can hold it. */
  readonly evaluate: (expression: string) => Promise<unknown>;
  /** Puts the page out of sight and to sleep, as a browser does with a tab in the background, or a machine that sleeps. */
  readonly freeze: () => Promise<void>;
  /** Wakes it up, back in sight. */
  readonly wake: () => Promise<void>;
  readonly close: () => Promise<void>;
}

interface Reply {
  readonly id?: number;
  readonly result?: unknown;
  readonly error?: { readonly message: string };
}

/**
 * Opens a page in a separate Chromium. Under Playwright, the browser reports each event of each stream, which costs
 * more than the page's own work if there are thousands of them; and Playwright makes pages believe that
 * they are in the foreground always, so that they cannot be frozen.
 */
export async function openBarePage(url: string): Promise<BarePage> {
  const profile = await mkdtemp(join(tmpdir(), 'sluice-chromium-'));
  const browser = spawn(
    process.env.CHROMIUM_PATH ?? '/usr/bin/chromium',
    [
      ...['--headless=new', '--no-sandbox', '--disable-gpu', '--no-first-run'],
      ...['--disable-background-networking', '--disable-component-update', '--disable-sync'],
      ...['--window-size=1280,800', `--user-data-dir=${profile}`, '--remote-debugging-pipe'],
    ],
    { stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'] },
  );
  const [, , , commands, replies] = browser.stdio as unknown as [
    null,
    null,
    null,
    Writable,
    Readable,
  ];
  const waiting = new Map<number, (reply: Reply) => void>();
  let lastId = 0;
  let unread = '';

  replies.setEncoding('utf8').on('data', (text: string) => {
    const messages = (unread + text).split('\0');
    unread = messages.pop() ?? '';
    for (const message of messages) {
      const reply = JSON.parse(message) as Reply;
      waiting.get(reply.id ?? 0)?.(reply);
    }
  });

  async function send<T>(method: string, params: object, sessionId?: string): Promise<T> {
    const id = ++lastId;
    const reply = await new Promise<Reply>((resolve) => {
      waiting.set(id, resolve);
      commands.write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
    });
    waiting.delete(id);
    if (reply.error) throw new Error(`${method}: ${reply.error.message}`);
    return reply.result as T;
  }

  const { targetId } = await send<{ targetId: string }>('Target.createTarget', { url });
  const { sessionId } = await send<{ sessionId: string }>('Target.attachToTarget', {
    targetId,
    flatten: true,
  });

  async function evaluate(expression: string) {
    const params = { expression, returnByValue: true, awaitPromise: true };
    const { result } = await send<{ result: { value?: unknown } }>(
      'Runtime.evaluate',
      params,
      sessionId,
    );
    return result.value;
  }

  const setState = (state: 'frozen' | 'active') =>
    send('Page.setWebLifecycleState', { state }, sessionId);

  async function freeze() {
    await setState('frozen');
  }

  async function wake() {
    await setState('active');
    // The page of a headless browser is hidden without it.
    await send('Emulation.setFocusEmulationEnabled', { enabled: true }, sessionId);
  }

  async function close() {
    const exited = once(browser, 'exit');
    await send('Browser.close', {});
    await exited;
    await rm(profile, { recursive: true, force: true });
  }

  return { evaluate, freeze, wake, close };
}
