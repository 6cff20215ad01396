import { changeOf, type Quote } from './quote';

/** What a table of quotes can be ordered by. */
export type Column = 'name' | 'price' | 'change';

export interface Order {
  readonly column: Column;
  readonly descending: boolean;
}

/** The order after a click on a column's head: the other way round, or anew, the largest figures first. */
export function nextOrder({ column, descending }: Order, clicked: Column): Order {
  if (clicked === column) return { column, descending: !descending };
  return { column: clicked, descending: clicked !== 'name' };
}

const names = new Intl.Collator('en', { numeric: true });

/** Orders quotes; what has no such figure comes last, either way. */
export function sortQuotes(quotes: readonly Quote[], { column, descending }: Order): Quote[] {
  const sign = descending ? -1 : 1;
  const byName = (a: Quote, b: Quote) => names.compare(a.topic, b.topic);
  if (column === 'name') return quotes.toSorted((a, b) => sign * byName(a, b));
  const figure = column === 'price' ? ({ price }: Quote) => price : changeOf;
  return quotes.toSorted((a, b) => {
    const [left, right] = [figure(a), figure(b)];
    if (left === undefined || right === undefined) {
      return Number(left === undefined) - Number(right === undefined) || byName(a, b);
    }
    return sign * (left - right) || byName(a, b);
  });
}
