import type { ComponentProps } from 'react';

/** A button in the usual look; it submits no form unless its type says so. */
export function Button({ className = '', ...props }: ComponentProps<'button'>) {
  return <button type="button" {...props} className={`button ${className}`} />;
}
