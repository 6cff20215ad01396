import { Keys } from './Keys';
import { type DialogProps, ShellDialog } from './ShellDialog';
import { shortcuts } from './shortcuts';

/** The keys of all screens. */
export default function ShortcutHelp(props: DialogProps) {
  return (
    <ShellDialog title="Keyboard shortcuts" {...props}>
      <dl className="grid grid-cols-[auto_1fr] items-center gap-x-6 gap-y-2 text-sm">
        {shortcuts.map(({ keys, what }) => (
          <div key={what} className="contents">
            <dt>
              <Keys keys={keys} />
            </dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
    </ShellDialog>
  );
}
