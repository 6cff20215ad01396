import { Component, type ReactNode } from 'react';
import { ScreenState } from '../components/ScreenState';

interface State {
  readonly error: unknown;
}

/** Keeps the rest of the app alive when a screen fails. Give it a `key`, so that another screen begins anew. */
export class ScreenBoundary extends Component<{ children: ReactNode }, State> {
  override state: State = { error: undefined };

  static getDerivedStateFromError(error: unknown): State {
    return { error };
  }

  override render() {
    const { error } = this.state;
    if (error === undefined) return this.props.children;
    return (
      <div className="flex h-full p-6">
        <ScreenState
          title={isMissingCode(error) ? 'This page is out of date' : 'This screen failed'}
        >
          <p>
            {isMissingCode(error)
              ? 'The server was updated, or cannot be reached, so that the code of this screen is not there.'
              : error instanceof Error && error.message}
          </p>
          <button
            type="button"
            className="button text-ink"
            onClick={() => window.location.reload()}
          >
            Reload
          </button>
        </ScreenState>
      </div>
    );
  }
}

/** Browsers word it differently, but all of them speak of the module. */
function isMissingCode(error: unknown): boolean {
  return error instanceof TypeError && /module|import/i.test(error.message);
}
