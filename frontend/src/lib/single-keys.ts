import { createSetting, useSetting } from './setting';

/**
 * Whether keys without Ctrl, Alt or ⌘ do something everywhere: who speaks to the machine, or hits keys by
 * accident, can switch them off (WCAG 2.1.4).
 */
export const singleKeys = createSetting('sluice:single-keys', ['on', 'off']);

/** Whether a key belongs to the text that is being typed. */
export function isTyping({ target }: Event): boolean {
  return (
    target instanceof Element &&
    target.closest('input, textarea, select, [contenteditable]') !== null
  );
}

export function useSingleKeys(): boolean {
  return useSetting(singleKeys) === 'on';
}
