import { addressOf } from '../address';
import type { StreamClient } from '@sluice/client';
import type { DialogName } from '../ui/dialog-context';
import { navigate } from './location';
import { screens } from './screens';
import { theme } from './theme';

/** Something that the palette can do. */
export interface Command {
  readonly name: string;
  /** What sort of command it is. */
  readonly group: string;
  readonly run: () => void;
}

/** All commands, the most used ones first. */
export function allCommands(client: StreamClient, open: (name: DialogName) => void): Command[] {
  return [
    ...screens.map(({ name, path }) => ({
      ...{ name, group: 'Go to' },
      run: () => navigate(path),
    })),
    { name: 'Retry the connection now', group: 'Connection', run: client.retryNow },
    { name: 'Light theme', group: 'Theme', run: () => theme.set('light') },
    { name: 'Dark theme', group: 'Theme', run: () => theme.set('dark') },
    { name: 'Theme as the device', group: 'Theme', run: () => theme.set('system') },
    { name: 'Settings', group: 'Open', run: () => open('settings') },
    { name: 'Access token', group: 'Open', run: () => open('token') },
    { name: 'Keyboard shortcuts', group: 'Open', run: () => open('shortcuts') },
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
  const run = () => navigate(addressOf('/explorer', topic));
  return [{ name: topic, group: 'Open in Explorer', run }, ...found];
}
