/** Sluice's mark: a stream that passes a gate. */
export function Logo({ className }: { className: string }) {
  return (
    <svg viewBox="0 0 32 32" className={className} aria-hidden="true">
      <rect width="32" height="32" rx="8" className="fill-brand" />
      <g fill="none" stroke="#fff" strokeLinecap="round" strokeWidth="2.4">
        <path d="M5.5 11c1.7-1.600 3.3-1.600 5 0M5.5 21c1.7-1.600 3.3-1.600 5 0" opacity=".6" />
        <path d="M16 6v5.500M16 20.500V26" />
        <path d="M5.5 16c1.800-1.7 3.5-1.7 5.200 0s3.5 1.7 5.3 0 3.5-1.7 5.200 0 3.5 1.7 5.3 0" />
      </g>
    </svg>
  );
}
