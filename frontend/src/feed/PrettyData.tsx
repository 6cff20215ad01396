import { indentJSON } from './indent';
import { readPayload, splitKeys } from './payload';
import { RawFallback } from './RawFallback';
import { count } from '../lib/text';

interface Props {
  data: string;
  /** How many characters to show. Default 20,000: more in one element makes a browser stutter. */
  max?: number;
}

/** The data of an event: JSON is indented, other data is unchanged. */
export function PrettyData({ data, max = 20_000 }: Props) {
  return (
    <RawFallback data={data}>
      <Pretty data={data} max={max} />
    </RawFallback>
  );
}

function Pretty({ data, max }: Required<Props>) {
  const isJSON = readPayload(data).kind !== 'text';
  const text = isJSON ? indentJSON(data, max) : data;
  return (
    <>
      <pre
        dir="auto"
        className="rounded-lg border border-line bg-raised p-3 font-mono text-xs/5 wrap-anywhere whitespace-pre-wrap"
      >
        {isJSON
          ? splitKeys(text.slice(0, max)).map(({ text, isKey }, index) => (
              <span key={index} className={isKey ? 'text-accent' : ''}>
                {text}
              </span>
            ))
          : text.slice(0, max)}
      </pre>
      {text.length > max && (
        <p className="text-xs text-muted">
          {`The first ${count(max)} characters of a message of ${count(data.length)}.`}
        </p>
      )}
    </>
  );
}
