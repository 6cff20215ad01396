import { Autocomplete } from '@base-ui/react/autocomplete';
import { Dialog } from '@base-ui/react/dialog';
import { useState } from 'react';
import { useStreamClient } from '@sluice/client/react';
import { useOpenDialog } from '../ui/dialog-context';
import { Icon } from './Icon';
import { Keys } from './Keys';
import { allCommands, type Command, findCommands } from './palette-commands';
import type { DialogProps } from './ShellDialog';

/** Finds a command by typing a part of it. */
export default function Palette({ isOpen, onClose }: DialogProps) {
  return (
    <Dialog.Root open={isOpen} onOpenChange={(open) => !open && onClose()}>
      <Dialog.Portal>
        <Dialog.Backdrop className="fixed inset-0 z-40 bg-black/40" />
        <Dialog.Popup className="dialog top-16! flex max-h-[calc(100dvh-5rem)]! flex-col [translate:-50%_0]! p-0!">
          <Dialog.Title className="sr-only">Commands</Dialog.Title>
          <Finder onDone={onClose} />
        </Dialog.Popup>
      </Dialog.Portal>
    </Dialog.Root>
  );
}

function Finder({ onDone }: { onDone: () => void }) {
  const client = useStreamClient();
  const open = useOpenDialog();
  const [typed, setTyped] = useState('');

  function run(command: Command) {
    onDone();
    command.run();
  }

  return (
    <Autocomplete.Root
      open
      inline
      mode="none"
      autoHighlight="always"
      items={findCommands(allCommands(client, open), typed)}
      itemToStringValue={(command: Command) => command.name}
      value={typed}
      onValueChange={setTyped}
    >
      <Autocomplete.Input
        aria-label="Command"
        spellCheck={false}
        placeholder="Command, or topic as stream:logs"
        className="w-full shrink-0 rounded-t-2xl border-b border-line bg-transparent px-4 py-3.5 -outline-offset-2 placeholder:text-muted"
      />
      <Autocomplete.Empty className="not-empty:p-4 text-sm text-muted">
        No matching commands
      </Autocomplete.Empty>
      <Autocomplete.List aria-label="Commands" className="min-h-0 overflow-y-auto p-2 empty:hidden">
        {(command: Command) => (
          <Autocomplete.Item
            key={`${command.group} ${command.name}`}
            value={command}
            onClick={() => run(command)}
            className="flex cursor-pointer scroll-my-2 items-center gap-3 rounded-lg px-3 py-2 text-sm outline-none data-highlighted:bg-accent-soft data-highlighted:text-accent"
          >
            <Icon name={command.icon} className="size-4.5" />
            <span className="min-w-0 flex-1 wrap-anywhere">{command.name}</span>
            <span className="text-xs text-muted">{command.group}</span>
            {command.keys && (
              <span className="pointer-coarse:hidden">
                <Keys keys={command.keys} />
              </span>
            )}
          </Autocomplete.Item>
        )}
      </Autocomplete.List>
    </Autocomplete.Root>
  );
}
