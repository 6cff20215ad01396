import type { Column, Order } from './order';
import type { Quote } from './quote';
import { QuoteRow } from './QuoteRow';

interface Props {
  quotes: readonly Quote[];
  order: Order;
  onSort: (column: Column) => void;
}

export function QuoteTable({ quotes, order, onSort }: Props) {
  const head = (column: Column, text: string, className: string) => (
    <th
      scope="col"
      aria-sort={order.column === column ? (order.descending ? 'descending' : 'ascending') : 'none'}
      className={`font-medium ${className}`}
    >
      <button
        type="button"
        onClick={() => onSort(column)}
        className="inline-flex min-h-10 cursor-pointer items-center gap-1 rounded hover:text-ink"
      >
        {text}
        {order.column === column && <span aria-hidden="true">{order.descending ? '↓' : '↑'}</span>}
      </button>
    </th>
  );
  return (
    // A phone gives each column a fixed share, and long prices wrap.
    <table className="w-full border-collapse text-sm max-sm:table-fixed">
      <caption className="sr-only">Keys and their values</caption>
      <thead className="border-b border-line bg-raised text-muted">
        <tr>
          {head('name', 'Name', 'ps-4 text-start')}
          {head('price', 'Price', 'pe-1 text-end max-sm:w-2/5')}
          {head('change', 'Change', 'pe-4 text-end max-sm:w-24')}
          <th scope="col" className="pe-4 text-end font-medium max-md:hidden">
            Opened
          </th>
          <th scope="col" className="pe-4 text-end font-medium max-sm:hidden">
            Trend
          </th>
        </tr>
      </thead>
      <tbody>
        {quotes.map((quote) => (
          <QuoteRow key={quote.topic} quote={quote} />
        ))}
      </tbody>
    </table>
  );
}
