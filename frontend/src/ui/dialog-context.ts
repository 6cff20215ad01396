import { createContext, use } from 'react';

/** The dialogs that every screen has. */
export type DialogName = 'palette' | 'settings' | 'shortcuts' | 'token';

interface Opener {
  readonly open: (name: DialogName) => void;
}

/** What holds the dialogs gives it to all inside. */
export const DialogsContext = createContext<Opener>({ open: () => undefined });

/** Opens a dialog; inside of `Dialogs`. */
export function useDialogs(): Opener {
  return use(DialogsContext);
}
