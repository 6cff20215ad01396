import { useEffect } from 'react';
import { isTyping, singleKeys } from '../lib/single-keys';
import type { DialogName } from '../ui/dialog-context';
import { navigate } from './location';
import { screens } from './screens';

const isApple = /Mac|iPhone|iPad/.test(navigator.userAgent);

/** How the key that opens the palette is written on this machine. */
export const paletteKey = isApple ? '⌘ K' : 'Ctrl K';

/** The keys that open a screen, and those that open the list of shortcuts. */
export const screenKeys = (index: number): readonly string[] => ['g', String(index + 1)];
export const helpKeys: readonly string[] = ['?'];

/** The keys of all screens. A screen shows its own keys itself. */
export const shortcuts = [
  { keys: [paletteKey], what: 'Commands' },
  ...screens.map(({ name }, index) => ({ keys: screenKeys(index), what: `Go to ${name}` })),
  { keys: helpKeys, what: 'Keyboard shortcuts' },
  { keys: ['Esc'], what: 'Close a dialog or menu' },
];

/** How long after `g` a number still belongs to it, in milliseconds. */
const SEQUENCE = 1_500;

/** Handles the shortcuts of all screens. Single keys are ignored in text fields. */
export function useShortcuts(open: (name: DialogName) => void) {
  useEffect(() => {
    let goUntil = 0;

    function onKeyDown(event: KeyboardEvent) {
      if (event.key.toLowerCase() === 'k' && (event.metaKey || event.ctrlKey)) {
        event.preventDefault();
        open('palette');
        return;
      }
      if (event.metaKey || event.ctrlKey || event.altKey || isTyping(event)) return;
      if (singleKeys.getSnapshot() === 'off') return;
      const screen = Date.now() < goUntil ? screens[Number(event.key) - 1] : undefined;
      goUntil = event.key === 'g' ? Date.now() + SEQUENCE : 0;
      if (screen) navigate(screen.path);
      else if (event.key === '?') open('shortcuts');
    }

    window.addEventListener('keydown', onKeyDown);
    return () => window.removeEventListener('keydown', onKeyDown);
  }, [open]);
}
