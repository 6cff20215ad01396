import { useEffect, useState } from 'react';

/** How long the button says that it has copied. */
const THANKS = 2_000;

/**
 * Copies a text, which `what` names for screen readers. Shows nothing where the browser has no clipboard, as on plain HTTP
 * from another machine.
 */
export function CopyButton({ text, what }: { text: string; what: string }) {
  const [copied, setCopied] = useState(false);

  useEffect(() => {
    if (!copied) return;
    const timer = setTimeout(() => setCopied(false), THANKS);
    return () => clearTimeout(timer);
  }, [copied]);

  if (!('clipboard' in navigator)) return null;

  function copy() {
    // A browser may forbid it; the text can still be selected by hand.
    navigator.clipboard.writeText(text).then(
      () => setCopied(true),
      () => setCopied(false),
    );
  }

  return (
    <>
      <button type="button" className="link-button" onClick={copy}>
        {copied ? 'Copied' : 'Copy'} <span className="sr-only">{what}</span>
      </button>
      <span role="status" className="sr-only">
        {copied && `Copied ${what}`}
      </span>
    </>
  );
}
