/**
 * Moves the focus from a button that is about to disappear to the next one like it in the list, or to the one
 * before it, or to `fallback`: the focus of an element that disappears would return to the start of the page.
 */
export function focusNeighbour(button: HTMLElement, fallback: HTMLElement | null) {
  const buttons = [...(button.closest('ul')?.querySelectorAll<HTMLElement>('li button') ?? [])];
  const index = buttons.indexOf(button);
  (buttons[index + 1] ?? buttons[index - 1] ?? fallback)?.focus();
}
