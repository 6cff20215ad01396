import { Component, type ReactNode } from 'react';
import { Button } from './Button';
import { ScreenState } from './ScreenState';

interface Props {
  /** The name of the part, for the message. */
  what: keyof typeof places;
  /** Removes the message. Without it, the message stays until the boundary is unmounted. */
  onClose?: () => void;
  children: ReactNode;
}

const places = {
  screen: 'flex h-full p-6',
  dialog: 'fixed inset-x-4 top-16 z-50 mx-auto flex max-w-md rounded-2xl bg-surface shadow-lg',
  notifications: 'flex shrink-0 border-t border-line p-4',
};

/** Limits a failure to a part of the app. With another `key`, the part is rendered again. */
export class Boundary extends Component<Props, { readonly error: unknown }> {
  override state = { error: undefined as unknown };

  static getDerivedStateFromError(error: unknown) {
    return { error };
  }

  override render() {
    const { error } = this.state;
    const { what, onClose, children } = this.props;
    if (error === undefined) return children;
    return (
      <div role="alert" className={places[what]}>
        <ScreenState
          title={isMissingCode(error) ? 'This page is out of date' : `The ${what} failed`}
        >
          <p>
            {isMissingCode(error)
              ? `The code of the ${what} cannot be loaded: the server was updated, or cannot be reached.`
              : error instanceof Error && error.message}
          </p>
          <div className="flex justify-center gap-2 text-ink">
            <Button primary onClick={() => window.location.reload()}>
              Reload
            </Button>
            {onClose && <Button onClick={onClose}>Close</Button>}
          </div>
        </ScreenState>
      </div>
    );
  }
}

/** Browsers word it differently, but all of them speak of the module. */
function isMissingCode(error: unknown): boolean {
  return error instanceof TypeError && /module|import/i.test(error.message);
}
