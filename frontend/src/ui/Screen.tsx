import type { ReactNode } from 'react';

interface Props {
  title: string;
  /** One line on what the screen shows. */
  description?: ReactNode;
  /** Controls at the end of the heading's line. */
  actions?: ReactNode;
  /** Whether the content scrolls in the remaining height. */
  fill?: boolean;
  children: ReactNode;
}

/** A screen's heading, and the space for what it shows. */
export function Screen({ title, description, actions, fill = false, children }: Props) {
  return (
    <div
      className={`mx-auto flex w-full max-w-7xl flex-col gap-4 px-4 py-4 sm:px-6 sm:py-6 ${fill ? 'h-full min-h-96' : ''}`}
    >
      <header className="flex flex-wrap items-center justify-between gap-x-6 gap-y-2">
        <div className="min-w-0">
          <h1 className="text-xl/7 font-semibold tracking-tight text-balance sm:text-2xl/8">
            {title}
          </h1>
          {description && <p className="text-sm text-muted">{description}</p>}
        </div>
        {actions && <div className="flex flex-wrap items-center gap-2">{actions}</div>}
      </header>
      {children}
    </div>
  );
}
