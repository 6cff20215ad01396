import type { ComponentProps } from 'react';

interface Props extends ComponentProps<'button'> {
  /** It does what the form or the screen is for. */
  primary?: boolean;
}

/** A button with a border, or a primary one; it submits no form unless its type says so. */
export function Button({ primary, className = '', ...props }: Props) {
  return (
    <button type="button" {...props} data-primary={primary} className={`button ${className}`} />
  );
}
