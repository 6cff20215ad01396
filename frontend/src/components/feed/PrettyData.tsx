import { indentJSON } from './indent';
import { readPayload, splitKeys } from './payload';
import { count } from '../text';

/** More than this in one element makes a browser stutter; the rest can be copied. */
const MAX_CHARACTERS = 20_000;

/** An event's data, JSON spread over lines, anything else as it is. */
export function PrettyData({ data }: { data: string }) {
  const isJSON = readPayload(data).kind !== 'text';
  const text = isJSON ? indentJSON(data) : data;
  return (
    <>
      <pre
        dir="auto"
        className="rounded-lg border border-line bg-raised p-3 font-mono text-xs/5 wrap-anywhere whitespace-pre-wrap"
      >
        {isJSON
          ? splitKeys(text.slice(0, MAX_CHARACTERS)).map(({ text, isKey }, index) => (
              <span key={index} className={isKey ? 'text-accent' : ''}>
                {text}
              </span>
            ))
          : text.slice(0, MAX_CHARACTERS)}
      </pre>
      {text.length > MAX_CHARACTERS && (
        <p className="text-xs text-muted">
          {`The first ${count(MAX_CHARACTERS)} of ${count(text.length)} characters; copy for the rest.`}
        </p>
      )}
    </>
  );
}
