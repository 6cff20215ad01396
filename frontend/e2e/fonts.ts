import type { Page } from '@playwright/test';

/**
 * Fonts of different widths. The spacing of the letters emulates them, because a machine can lack
 * any given font. The wide one is wider than DejaVu Sans.
 */
const spacings = { "the app's": 'normal', wide: '0.12em', narrow: '-0.06em' } as const;

export type Font = keyof typeof spacings;

export const fonts = Object.keys(spacings) as Font[];

/**
 * Shows the page in a font, after the app's own font is loaded. The style sheet is constructed,
 * because the app's Content-Security-Policy blocks inline ones.
 */
export async function useFont(page: Page, font: Font): Promise<void> {
  await page.evaluate(async (spacing) => {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(`* { letter-spacing: ${spacing} !important }`);
    document.adoptedStyleSheets = [sheet];
    await document.fonts.ready;
  }, spacings[font]);
}

/**
 * The elements that scroll sideways or cut off their content, and by how many pixels. Text that ends
 * with an ellipsis and fields do so by design. The page itself must not scroll down either.
 */
export function overflows(page: Page): Promise<string[]> {
  return page.evaluate(() => {
    const isByDesign = (element: Element) =>
      element.matches('input, select, textarea') ||
      element.clientWidth <= 1 || // for screen readers only
      getComputedStyle(element).textOverflow === 'ellipsis';
    const root = document.documentElement;
    const found = [...document.querySelectorAll('html, body *')].flatMap((element) => {
      const excess = element.scrollWidth - element.clientWidth;
      const isCut = element === root || getComputedStyle(element).overflowX !== 'visible';
      if (excess <= 0 || !isCut || isByDesign(element)) return [];
      return `${element.tagName}.${element.className}: ${excess} px too wide`;
    });
    const excess = root.scrollHeight - root.clientHeight;
    return excess > 0 ? [...found, `the page: ${excess} px too high`] : found;
  });
}
