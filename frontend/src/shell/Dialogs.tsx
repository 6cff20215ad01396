import { lazy, type ReactNode, Suspense, useCallback, useState } from 'react';
import { Boundary } from '../ui/Boundary';
import { type DialogName, DialogsContext } from '../ui/dialog-context';
import { useShortcuts } from './shortcuts';

const code = {
  palette: () => import('./Palette'),
  settings: () => import('./Settings'),
  shortcuts: () => import('./ShortcutHelp'),
  token: () => import('./TokenDialog'),
};

const dialogs = {
  palette: lazy(code.palette),
  settings: lazy(code.settings),
  shortcuts: lazy(code.shortcuts),
  token: lazy(code.token),
};

export const loadDialogs = () => Object.values(code).map((load) => load());

/** Holds the dialogs, whose code is loaded when they are first opened, and the keys that open them. */
export function Dialogs({ children }: { children: ReactNode }) {
  const [current, setCurrent] = useState<DialogName>();
  const [loaded, setLoaded] = useState<ReadonlySet<DialogName>>(new Set());
  const open = useCallback((name: DialogName) => {
    setCurrent(name);
    // A dialog stays mounted after its first opening: when it closes, it returns the focus.
    setLoaded((before) => new Set([...before, name]));
  }, []);
  useShortcuts(open);

  function close(name: DialogName) {
    setCurrent((now) => (now === name ? undefined : now));
  }

  function forget(name: DialogName) {
    close(name);
    setLoaded((before) => new Set([...before].filter((other) => other !== name)));
  }

  return (
    <DialogsContext value={open}>
      {children}
      {[...loaded].map((name) => {
        const Dialog = dialogs[name];
        return (
          <Boundary key={name} what="dialog" onClose={() => forget(name)}>
            <Suspense>
              <Dialog isOpen={name === current} onClose={() => close(name)} />
            </Suspense>
          </Boundary>
        );
      })}
    </DialogsContext>
  );
}
