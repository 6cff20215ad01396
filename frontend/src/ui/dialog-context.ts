import { createContext, use } from 'react';

export type DialogName = 'palette' | 'settings' | 'shortcuts' | 'token';

export const DialogsContext = createContext<(name: DialogName) => void>(() => undefined);

/** Returns the function that opens a dialog; inside of `Dialogs`. */
export const useOpenDialog = () => use(DialogsContext);
