import { Dialog } from '@base-ui/react/dialog';
import { type KeyboardEvent, useId, useState } from 'react';
import { useStreamClient } from '@sluice/client/react';
import { useDialogs } from '../ui/dialog-context';
import { allCommands, type Command, findCommands } from './palette-commands';
import type { DialogProps } from './ShellDialog';

/** Finds a command by typing a part of it. */
export default function Palette({ isOpen, onClose }: DialogProps) {
  return (
    <Dialog.Root open={isOpen} onOpenChange={(open) => !open && onClose()}>
      <Dialog.Portal>
        <Dialog.Backdrop className="fixed inset-0 z-40 bg-black/40" />
        <Dialog.Popup className="dialog top-16! [translate:-50%_0]! p-0!">
          <Dialog.Title className="sr-only">Commands</Dialog.Title>
          <Finder onDone={onClose} />
        </Dialog.Popup>
      </Dialog.Portal>
    </Dialog.Root>
  );
}

/** The combobox pattern of the ARIA authoring practices: the focus stays in the field. */
function Finder({ onDone }: { onDone: () => void }) {
  const client = useStreamClient();
  const { open } = useDialogs();
  const [typed, setTyped] = useState('');
  const [chosen, setChosen] = useState(0);
  const id = useId();
  const found = findCommands(allCommands(client, open), typed);
  const optionId = (index: number) => `${id}-${index}`;

  function type(text: string) {
    setTyped(text);
    setChosen(0);
  }

  function run(command: Command | undefined) {
    if (!command) return;
    onDone();
    command.run();
  }

  function onKeyDown(event: KeyboardEvent) {
    const steps: Readonly<Record<string, number>> = { ArrowDown: 1, ArrowUp: -1 };
    const step = steps[event.key];
    if (step !== undefined && found.length > 0) {
      event.preventDefault();
      setChosen((chosen + step + found.length) % found.length);
    } else if (event.key === 'Enter') {
      event.preventDefault();
      run(found[chosen]);
    }
  }

  return (
    <>
      <input
        role="combobox"
        aria-label="Command"
        aria-expanded="true"
        aria-controls={id}
        aria-activedescendant={found.length > 0 ? optionId(chosen) : undefined}
        aria-autocomplete="list"
        autoComplete="off"
        spellCheck={false}
        placeholder="Command, or topic as stream:logs"
        className="w-full border-b border-line bg-transparent px-4 py-3.5 -outline-offset-2 placeholder:text-muted"
        value={typed}
        onChange={({ target }) => type(target.value)}
        onKeyDown={onKeyDown}
      />
      <ul id={id} role="listbox" aria-label="Commands" className="max-h-80 overflow-y-auto p-2">
        {found.map((command, index) => (
          <Option
            key={`${command.group} ${command.name}`}
            id={optionId(index)}
            command={command}
            isChosen={index === chosen}
            onPoint={() => setChosen(index)}
            onRun={() => run(command)}
          />
        ))}
      </ul>
      <p role="status" className={found.length > 0 ? 'sr-only' : 'p-4 pt-0 text-sm text-muted'}>
        {found.length > 0 ? `${found.length} commands` : 'No such command'}
      </p>
    </>
  );
}

interface OptionProps {
  id: string;
  command: Command;
  isChosen: boolean;
  onPoint: () => void;
  onRun: () => void;
}

function Option({ id, command, isChosen, onPoint, onRun }: OptionProps) {
  return (
    <li
      id={id}
      ref={(element) => {
        if (isChosen) element?.scrollIntoView({ block: 'nearest' });
      }}
      role="option"
      aria-selected={isChosen}
      className="flex cursor-pointer items-baseline gap-3 rounded-lg px-3 py-2 text-sm aria-selected:bg-accent-soft aria-selected:text-accent"
      onMouseMove={onPoint}
      onClick={onRun}
    >
      <span className="w-28 shrink-0 text-xs text-muted">{command.group}</span>
      <span className="min-w-0 wrap-anywhere">{command.name}</span>
    </li>
  );
}
