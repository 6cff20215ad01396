import { createSetting, useSetting } from './setting';

/**
 * Whether keys without Ctrl, Alt or ⌘ do something everywhere: who speaks to the machine, or hits keys by
 * accident, can switch them off (WCAG 2.1.4).
 */
export const singleKeys = createSetting('sluice:single-keys', ['on', 'off']);

export function useSingleKeys(): boolean {
  return useSetting(singleKeys) === 'on';
}
