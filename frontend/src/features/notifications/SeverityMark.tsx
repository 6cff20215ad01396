import type { Severity } from './notification';

const looks: Readonly<Record<Severity, { sign: string; className: string }>> = {
  info: { sign: 'i', className: 'border-accent/50 text-accent' },
  success: { sign: '✓', className: 'border-live/50 text-live' },
  warning: { sign: '!', className: 'border-warning-line text-warning' },
  critical: { sign: '‼', className: 'border-danger/60 text-danger' },
};

/** How serious a notification is, by sign and colour. */
export function SeverityMark({ severity }: { severity: Severity }) {
  const { sign, className } = looks[severity];
  return (
    <span
      className={`inline-flex size-6 shrink-0 items-center justify-center rounded-full border text-xs font-bold ${className}`}
    >
      <span aria-hidden="true">{sign}</span>
      <span className="sr-only">{severity}</span>
    </span>
  );
}
