import { useSyncExternalStore } from 'react';

const themes = ['system', 'light', 'dark'] as const;

/** What the reader has chosen; `system` goes with the device. */
export type Theme = (typeof themes)[number];

const NAME = 'sluice:theme';
const listeners = new Set<() => void>();
const isDark = window.matchMedia('(prefers-color-scheme: dark)');
let theme = stored();

function stored(): Theme {
  try {
    const value = localStorage.getItem(NAME);
    return themes.find((known) => known === value) ?? 'system';
  } catch {
    return 'system';
  }
}

function apply() {
  const system = isDark.matches ? 'dark' : 'light';
  document.documentElement.dataset.theme = theme === 'system' ? system : theme;
}

/** Puts the theme on the page, and keeps it there when the device or another tab changes it. */
export function startTheme() {
  apply();
  isDark.addEventListener('change', apply);
  window.addEventListener('storage', ({ key }) => {
    if (key === NAME) show(stored());
  });
}

function show(next: Theme) {
  theme = next;
  apply();
  listeners.forEach((onChange) => onChange());
}

/** Chooses a theme, for all tabs and for next time. */
export function setTheme(next: Theme) {
  show(next);
  try {
    localStorage.setItem(NAME, next);
  } catch {
    // It holds for this tab then.
  }
}

/** The theme that was chosen. */
export function useTheme(): Theme {
  return useSyncExternalStore(
    (onChange) => {
      listeners.add(onChange);
      return () => listeners.delete(onChange);
    },
    () => theme,
  );
}
