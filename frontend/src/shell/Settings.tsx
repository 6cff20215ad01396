import { useId } from 'react';
import { useSetting } from '../lib/setting';
import { singleKeys, useSingleKeys } from '../lib/single-keys';
import { type DialogProps, ShellDialog } from './ShellDialog';
import { paletteKey } from './shortcuts';
import { type Theme, theme } from './theme';
import { TokenEntry } from './TokenEntry';

export default function Settings(props: DialogProps) {
  return (
    <ShellDialog title="Settings" {...props}>
      <div className="space-y-6">
        <ThemeChoice />
        <KeysChoice />
        <TokenEntry onDone={props.onClose} />
      </div>
    </ShellDialog>
  );
}

const themes: readonly { value: Theme; name: string }[] = [
  { value: 'system', name: 'Same as the device' },
  { value: 'light', name: 'Light' },
  { value: 'dark', name: 'Dark' },
];

function ThemeChoice() {
  const chosen = useSetting(theme);
  return (
    <fieldset>
      <legend className="mb-1.5 text-sm font-medium">Theme</legend>
      <div className="flex flex-wrap gap-x-5 gap-y-2">
        {themes.map(({ value, name }) => (
          <label key={value} className="flex items-center gap-2 text-sm">
            <input
              type="radio"
              name="theme"
              className="size-4 accent-(--accent)"
              checked={chosen === value}
              onChange={() => theme.set(value)}
            />
            {name}
          </label>
        ))}
      </div>
    </fieldset>
  );
}

function KeysChoice() {
  const id = useId();
  return (
    <div>
      <label className="flex items-center gap-2 text-sm">
        <input
          type="checkbox"
          className="size-4 accent-(--accent)"
          aria-describedby={id}
          checked={useSingleKeys()}
          onChange={({ target }) => singleKeys.set(target.checked ? 'on' : 'off')}
        />
        Single-key shortcuts
      </label>
      <p id={id} className="mt-1 text-sm text-muted">
        <kbd>?</kbd>, <kbd>/</kbd> and <kbd>g</kbd> with a number. {paletteKey} always works.
      </p>
    </div>
  );
}
