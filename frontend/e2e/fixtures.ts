import {
  type BrowserContext,
  expect,
  type Locator,
  type Page,
  test as base,
} from '@playwright/test';
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

  // Every test fails on an error in the console and on an uncaught one. The page depends on the processes, so it is
  // checked before they are stopped, which would cause errors.
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

/**
 * Scrolls a list with a key. While the browser still animates the scroll, it clicks Resume or sends the list another
 * key. Returns when the list no longer moves.
 */
export async function interruptScroll(
  list: Locator,
  key: 'PageUp' | 'PageDown',
  by: 'Resume' | 'ArrowUp',
): Promise<void> {
  const scroll = await list.evaluateHandle((element, by) => {
    const end = new Promise<void>((resolve) => {
      // Not only in scroll events: on a busy machine there may be no other after the one that begins the hold.
      const changes = new MutationObserver(() => {
        const buttons = [...document.querySelectorAll('button')];
        const resume = buttons.find(({ textContent }) => textContent === 'Resume');
        if (!resume) return;
        changes.disconnect();
        element.addEventListener('scrollend', () => resolve(), { once: true });
        if (by === 'Resume') resume.click();
        else element.dispatchEvent(new KeyboardEvent('keydown', { key: by, bubbles: true }));
      });
      changes.observe(document.body, { subtree: true, childList: true, characterData: true });
    });
    return { end };
  }, by);
  await list.press(key);
  await scroll.evaluate(({ end }) => end);
}

/** Opens the live page in a new tab, and waits until its topics are live. */
export async function openTab(context: BrowserContext, url: string): Promise<Page> {
  const page = await context.newPage();
  await new LivePage(page).open(url);
  return page;
}

/** The data of the rows of a page's list, oldest first, without their times. */
export const dataOf = (page: Page) =>
  page
    .getByRole('log')
    .getByRole('listitem')
    .evaluateAll((rows) =>
      rows.map((row) => row.querySelector('div > div')?.textContent).toReversed(),
    );

/** The numbers of a range, as texts. */
export const series = (first: number, last: number) =>
  Array.from({ length: last - first + 1 }, (_, index) => String(first + index));
