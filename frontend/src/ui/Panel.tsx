import type { ReactNode } from 'react';

/** A surface that groups what belongs together. */
export function Panel({ children, className = '' }: { children: ReactNode; className?: string }) {
  return (
    <div className={`min-w-0 rounded-2xl border border-line bg-surface shadow-sm ${className}`}>
      {children}
    </div>
  );
}
