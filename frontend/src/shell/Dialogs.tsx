import { createContext, lazy, type ReactNode, Suspense, use, useMemo, useState } from 'react';
import { useShortcuts } from './shortcuts';

const dialogs = {
  palette: lazy(() => import('./Palette')),
  settings: lazy(() => import('./Settings')),
  shortcuts: lazy(() => import('./ShortcutHelp')),
};

/** The dialogs that every screen has. */
export type DialogName = keyof typeof dialogs;

interface Opener {
  readonly open: (name: DialogName) => void;
}

const DialogsContext = createContext<Opener>({ open: () => undefined });

/** Opens a dialog; inside of {@link Dialogs}. */
export function useDialogs(): Opener {
  return use(DialogsContext);
}

/** Holds the dialogs, whose code is loaded when they are first opened, and the keys that open them. */
export function Dialogs({ children }: { children: ReactNode }) {
  const [current, setCurrent] = useState<DialogName>();
  const [loaded, setLoaded] = useState<ReadonlySet<DialogName>>(new Set());
  const opener = useMemo(() => {
    function open(name: DialogName) {
      setCurrent(name);
      // One that was open once stays, so that it gives the focus back when it closes.
      setLoaded((before) => new Set([...before, name]));
    }
    return { open };
  }, []);
  useShortcuts(opener.open);

  return (
    <DialogsContext value={opener}>
      {children}
      <Suspense>
        {[...loaded].map((name) => {
          const Dialog = dialogs[name];
          return (
            <Dialog
              key={name}
              isOpen={name === current}
              onClose={() => setCurrent((now) => (now === name ? undefined : now))}
            />
          );
        })}
      </Suspense>
    </DialogsContext>
  );
}
