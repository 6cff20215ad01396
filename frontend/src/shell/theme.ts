import { createSetting } from '../lib/setting';

/** The theme that the reader has chosen. `system` follows the device. */
export const theme = createSetting('sluice:theme', ['system', 'light', 'dark']);

export type Theme = ReturnType<typeof theme.getSnapshot>;

/** Puts the theme on the page, and keeps it there when the device or another tab changes it. */
export function startTheme() {
  const isDark = window.matchMedia('(prefers-color-scheme: dark)');

  function apply() {
    const chosen = theme.getSnapshot();
    const system = isDark.matches ? 'dark' : 'light';
    document.documentElement.dataset.theme = chosen === 'system' ? system : chosen;
  }

  apply();
  isDark.addEventListener('change', apply);
  theme.subscribe(apply);
}
