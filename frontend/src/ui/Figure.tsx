import type { ReactNode } from 'react';

interface Props {
  label: string;
  value: ReactNode;
  /** What explains or compares the value. */
  note?: ReactNode;
  isWarning?: boolean;
}

/** A figure with its name; inside a `<dl>`. */
export function Figure({ label, value, note, isWarning = false }: Props) {
  return (
    <div className="min-w-0 px-4 py-3">
      <dt className="text-sm text-muted">{label}</dt>
      <dd
        className={`text-xl font-semibold tracking-tight tabular-nums wrap-anywhere ${isWarning ? 'text-warning' : ''}`}
      >
        {value}
      </dd>
      {note !== undefined && <dd className="text-xs text-muted tabular-nums">{note}</dd>}
    </div>
  );
}
