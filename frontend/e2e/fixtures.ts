import { test as base, expect, type Locator, type Page } from '@playwright/test';
import { Processes } from './processes';

interface Options {
  /** A test that cuts the network itself lets the browser complain about it. */
  expectNetworkErrors: boolean;
}

interface Fixtures {
  processes: Processes;
  live: LivePage;
}

export const test = base.extend<Options & Fixtures>({
  expectNetworkErrors: [false, { option: true }],

  processes: async ({ browserName: _ }, use) => {
    const processes = new Processes();
    await use(processes);
    await processes.stop();
  },

  // Every test fails on an error in the console, or one that nobody caught. The page names the processes
  // so that it is looked at before they are stopped, at which it would rightly complain.
  page: async ({ page, expectNetworkErrors, processes: _ }, use) => {
    const errors: string[] = [];
    page.on('pageerror', (error) => errors.push(error.message));
    page.on('console', (message) => {
      const isNetwork = message.text().startsWith('Failed to load resource');
      if (message.type() === 'error' && !(isNetwork && expectNetworkErrors)) {
        errors.push(message.text());
      }
    });
    await use(page);
    expect(errors).toEqual([]);
  },

  live: async ({ page }, use) => {
    await use(new LivePage(page));
  },
});

export { expect };

/** The live page, as a user sees it. */
export class LivePage {
  readonly log: Locator;
  readonly rows: Locator;

  constructor(readonly page: Page) {
    this.log = page.getByRole('log', { name: '📡 Live Server-Sent Events' });
    this.rows = this.log.getByRole('listitem');
  }

  /** Opens the page, and waits until its stream is live. */
  async open(url: string): Promise<void> {
    await this.page.goto(url);
    await this.expectLive();
  }

  /** The connection can be live before this screen's topics are on it. */
  async expectLive(): Promise<void> {
    await expect(this.page.locator('[data-phase="live"]')).toBeAttached();
    await expect(this.page.getByRole('button', { name: /^Connection: Live/ })).toBeVisible();
  }

  button(name: string | RegExp): Locator {
    return this.page.getByRole('button', { name });
  }
}
