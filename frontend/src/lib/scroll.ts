/**
 * Ends a scroll by the reader that the browser still animates, as after Page Down. Chromium adds the rest of such
 * a scroll to the position that `scrollTo` sets; only a smooth scroll replaces it.
 */
export function stopScroll(element: HTMLElement | null) {
  element?.scrollTo({ top: element.scrollTop, behavior: 'smooth' });
}
