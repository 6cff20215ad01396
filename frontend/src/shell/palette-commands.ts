import { formatAddress } from '../address';
import type { StreamClient } from '@sluice/client';
import type { DialogName } from '../ui/dialog-context';
import type { IconName } from './Icon';
import { navigate } from './location';
import { screens } from './screens';
import { helpKeys, screenKeys } from './shortcuts';
import { theme } from './theme';

export interface Command {
  readonly name: string;
  /** The kind of command, for example "Theme". */
  readonly group: string;
  readonly icon: IconName;
  /** The keys that do the same. */
  readonly keys?: readonly string[];
  readonly run: () => void;
}

/** All commands, the most used ones first. */
export function allCommands(client: StreamClient, open: (name: DialogName) => void): Command[] {
  const themeIcon = { group: 'Theme', icon: 'theme' } as const;
  return [
    ...screens.map(({ name, path, icon }, index) => ({
      ...{ name, group: 'Go to', icon, keys: screenKeys(index) },
      run: () => navigate(path),
    })),
    {
      ...{ name: 'Retry the connection now', group: 'Connection', icon: 'retry' },
      run: client.retryNow,
    },
    { name: 'Light theme', ...themeIcon, run: () => theme.set('light') },
    { name: 'Dark theme', ...themeIcon, run: () => theme.set('dark') },
    { name: 'System theme', ...themeIcon, run: () => theme.set('system') },
    { name: 'Settings', group: 'Open', icon: 'settings', run: () => open('settings') },
    { name: 'Access token', group: 'Open', icon: 'token', run: () => open('token') },
    {
      ...{ name: 'Keyboard shortcuts', group: 'Open', icon: 'keyboard', keys: helpKeys },
      run: () => open('shortcuts'),
    },
  ];
}

/** The commands that match the typed text. A topic can be opened in the Explorer. */
export function findCommands(commands: readonly Command[], typed: string): Command[] {
  const words = typed.trim().toLowerCase().split(/\s+/);
  const found = commands.filter(({ name, group }) => {
    const text = `${group} ${name}`.toLowerCase();
    return words.every((word) => text.includes(word));
  });
  const topic = typed.trim();
  if (!/^(channel|stream|key):./.test(topic)) return found;
  const run = () => navigate(formatAddress('/explorer', topic));
  return [{ name: topic, group: 'Open in Explorer', icon: 'explorer', run }, ...found];
}
