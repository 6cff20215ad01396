import { useRef } from 'react';
import { type DialogProps, ShellDialog } from './ShellDialog';
import { TokenEntry } from './TokenEntry';

/** Asks for an access token after one was missing or has expired. */
export default function TokenDialog(props: DialogProps) {
  const field = useRef<HTMLInputElement>(null);
  return (
    <ShellDialog title="Enter a token" initialFocus={field} {...props}>
      <TokenEntry ref={field} onDone={props.onClose} />
    </ShellDialog>
  );
}
