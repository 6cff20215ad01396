import { Component, type ReactNode } from 'react';

interface Props {
  /** The data of the item that the children show. */
  data: string;
  children: ReactNode;
}

/** More than this in one element makes a browser stutter. */
const MAX_CHARACTERS = 4_000;

/** Shows the data unformatted if its children fail, to keep the rest of the screen. */
export class RawFallback extends Component<Props, { readonly hasFailed: boolean }> {
  override state = { hasFailed: false };

  static getDerivedStateFromError() {
    return { hasFailed: true };
  }

  override render() {
    if (!this.state.hasFailed) return this.props.children;
    return (
      <pre className="font-mono text-xs/5 wrap-anywhere whitespace-pre-wrap">
        {this.props.data.slice(0, MAX_CHARACTERS)}
      </pre>
    );
  }
}
