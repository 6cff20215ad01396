import { memo } from 'react';
import { Sparkline } from '../../charts/Sparkline';
import { changeOf, type Quote } from './quote';

const percent = new Intl.NumberFormat('en', {
  style: 'percent',
  minimumFractionDigits: 2,
  maximumFractionDigits: 2,
  signDisplay: 'exceptZero',
});

const absences = {
  gone: 'gone',
  unsupported: 'a type that cannot be shown',
  unknown: 'not known since a gap',
};

/** One key. Quotes never change, so a table of them costs only the rows that have. */
export const QuoteRow = memo(function QuoteRow({ quote }: { quote: Quote }) {
  const { topic, state, detail, history, opened, decimals } = quote;
  const change = changeOf(quote);
  return (
    <tr className={`border-b border-line last:border-0 ${state === 'there' ? '' : 'text-muted'}`}>
      <th scope="row" className="py-2 ps-4 pe-2 text-start font-medium sm:max-w-72">
        <span className="block wrap-anywhere">{topic.replace(/^key:/, '')}</span>
        {detail !== '' && state === 'there' && (
          <span className="block truncate font-mono text-xs font-normal text-muted" title={detail}>
            {detail}
          </span>
        )}
        {state !== 'there' && (
          <span className="inline-block rounded border border-dashed border-control px-1.5 text-xs font-normal">
            {absences[state]}
          </span>
        )}
      </th>
      <td className="py-2 text-end wrap-anywhere tabular-nums">
        <Price quote={quote} />
      </td>
      <td className={`py-2 pe-4 text-end wrap-anywhere tabular-nums ${colorOf(change)}`}>
        {change === undefined ? '–' : percent.format(change)}
      </td>
      <td className="py-2 pe-4 text-end text-muted tabular-nums max-md:hidden">
        {opened === undefined ? '–' : decimal(opened, decimals)}
      </td>
      <td className="w-40 py-2 pe-4 text-end max-sm:hidden">
        <Sparkline values={history} />
      </td>
    </tr>
  );
});

/** The sign says the same as the colour. */
function colorOf(change = 0): string {
  return change > 0 ? 'text-live' : change < 0 ? 'text-danger' : '';
}

function decimal(value: number, digits: number): string {
  return value.toLocaleString('en', {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });
}

const arrows = { up: '▲', down: '▼' };

function Price({ quote: { price, decimals, direction, changes, state } }: { quote: Quote }) {
  if (price === undefined) return <>–</>;
  const text = decimal(price, decimals);
  if (state !== 'there') return <s>{text}</s>;
  return (
    // A new element for each change restarts the animation.
    <span
      key={changes}
      data-direction={direction}
      className="inline-flex items-baseline gap-1.5 rounded px-1 font-semibold motion-safe:data-[direction=down]:animate-fall motion-safe:data-[direction=up]:animate-rise"
    >
      <span
        aria-hidden="true"
        title="Direction of the last change"
        className={`text-[0.625rem] ${direction === 'up' ? 'text-live' : 'text-danger'}`}
      >
        {direction && arrows[direction]}
      </span>
      {direction && <span className="sr-only">{direction}</span>}
      {text}
    </span>
  );
}
