import { type ReactNode, useId, useState } from 'react';
import { CopyButton } from '../ui/CopyButton';
import { count } from '../lib/text';

interface Props {
  text: string;
  /** The text to copy, if it is another one. */
  raw?: string;
  render?: (text: string) => ReactNode;
}

const PREVIEW_CHARACTERS = 280;
const PREVIEW_LINES = 6;
/** More than this in one element makes a browser stutter; the rest can be copied. */
const MAX_CHARACTERS = 20_000;

/** Text of any length in monospace, short until the reader asks for more. */
export function LongText({ text, raw = text, render = (text) => text }: Props) {
  const [expanded, setExpanded] = useState(false);
  const id = useId();
  const preview = previewOf(text);
  const isLong = preview.length < text.length;
  const shown = expanded ? text.slice(0, MAX_CHARACTERS) : preview;
  return (
    <>
      <p
        id={id}
        dir="auto"
        className="font-mono text-[0.8125rem]/5 wrap-anywhere whitespace-pre-wrap"
      >
        {render(shown)}
        {isLong && !expanded && '…'}
      </p>
      {isLong && (
        <div className="flex flex-wrap items-center gap-x-4">
          <button
            type="button"
            className="link-button"
            aria-expanded={expanded}
            aria-controls={id}
            onClick={() => setExpanded(!expanded)}
          >
            {expanded ? 'Show less' : `Show all ${count(text.length)} characters`}
          </button>
          <CopyButton text={raw} what="this message" />
          {expanded && text.length > MAX_CHARACTERS && (
            <span className="text-xs text-muted">{`The first ${count(MAX_CHARACTERS)} characters; copy for the rest`}</span>
          )}
        </div>
      )}
    </>
  );
}

function previewOf(text: string): string {
  const start = text.slice(0, PREVIEW_CHARACTERS);
  return start.split('\n', PREVIEW_LINES).join('\n');
}
