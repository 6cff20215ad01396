import { Dialog } from '@base-ui/react/dialog';
import type { ReactNode, RefObject } from 'react';
import { Icon } from './Icon';

export interface DialogProps {
  isOpen: boolean;
  onClose: () => void;
}

interface Props extends DialogProps {
  title: string;
  /** The element that has the focus at first. Default: the first that can have it. */
  initialFocus?: RefObject<HTMLElement | null>;
  children: ReactNode;
}

export function ShellDialog({ title, initialFocus, isOpen, onClose, children }: Props) {
  return (
    <Dialog.Root open={isOpen} onOpenChange={(open) => !open && onClose()}>
      <Dialog.Portal>
        <Dialog.Backdrop className="fixed inset-0 z-40 bg-black/40" />
        <Dialog.Popup className="dialog" initialFocus={initialFocus}>
          <div className="mb-3 flex items-center justify-between gap-4">
            <Dialog.Title className="text-lg font-semibold tracking-tight">{title}</Dialog.Title>
            <Dialog.Close className="icon-button" aria-label="Close">
              <Icon name="close" className="size-4.5" />
            </Dialog.Close>
          </div>
          {children}
        </Dialog.Popup>
      </Dialog.Portal>
    </Dialog.Root>
  );
}
