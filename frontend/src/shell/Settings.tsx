import { type SubmitEvent, useId, useState } from 'react';
import { lookAgain } from '../features/notifications/noticed';
import { useStreamClient } from '../stream/react/use-client';
import { type DialogProps, ShellDialog } from './ShellDialog';
import { setTheme, type Theme, useTheme } from './theme';
import { setToken, token } from './token';

/** What a reader can set. */
export default function Settings(props: DialogProps) {
  return (
    <ShellDialog title="Settings" {...props}>
      <div className="space-y-6">
        <ThemeChoice />
        <TokenEntry onDone={props.onClose} />
      </div>
    </ShellDialog>
  );
}

const themes: readonly { value: Theme; name: string }[] = [
  { value: 'system', name: 'As the device' },
  { value: 'light', name: 'Light' },
  { value: 'dark', name: 'Dark' },
];

function ThemeChoice() {
  const theme = useTheme();
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
              checked={theme === value}
              onChange={() => setTheme(value)}
            />
            {name}
          </label>
        ))}
      </div>
    </fieldset>
  );
}

function TokenEntry({ onDone }: { onDone: () => void }) {
  const client = useStreamClient();
  const [text, setText] = useState(() => token() ?? '');
  const id = useId();

  function save(event: SubmitEvent) {
    event.preventDefault();
    setToken(text.trim());
    client.tokenChanged();
    lookAgain(); // for what was refused without it
    onDone();
  }

  return (
    <form onSubmit={save}>
      <label htmlFor={id} className="text-sm font-medium">
        Access token
      </label>
      <p id={`${id}-about`} className="mb-1.5 text-sm text-muted">
        A JWT for topics that are not open to anyone. It is kept for this tab only, until you close
        it.
      </p>
      <div className="flex gap-2">
        <input
          id={id}
          type="password"
          autoComplete="off"
          spellCheck={false}
          aria-describedby={`${id}-about`}
          className="field min-w-0 flex-1 font-mono"
          value={text}
          onChange={({ target }) => setText(target.value)}
        />
        <button type="submit" className="button">
          Use
        </button>
      </div>
    </form>
  );
}
