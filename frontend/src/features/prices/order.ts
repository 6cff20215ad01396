import { changeOf, type Quote } from './quote';

export type Column = 'name' | 'price' | 'change';

export interface Order {
  readonly column: Column;
  readonly descending: boolean;
}

/** The order after a click on the head of a column: reversed for the same column, else the largest figures first. */
export function nextOrder({ column, descending }: Order, clicked: Column): Order {
  if (clicked === column) return { column, descending: !descending };
  return { column: clicked, descending: clicked !== 'name' };
}

/**
 * The first quotes in an order, of those whose topics are given in the order of their names. Only an order
 * of figures, which change all the time, needs a look at all of them.
 */
export function firstQuotes(
  topics: readonly string[],
  byTopic: ReadonlyMap<string, Quote>,
  { column, descending }: Order,
  limit: number,
): Quote[] {
  const quotesOf = (some: readonly string[]) => some.flatMap((topic) => byTopic.get(topic) ?? []);
  if (column !== 'name') return byFigure(quotesOf(topics), column, descending).slice(0, limit);
  return quotesOf(descending ? topics.slice(-limit).reverse() : topics.slice(0, limit));
}

/** Compares by a figure. Rows without it are last in both directions; equal rows keep their order. */
function byFigure(
  quotes: readonly Quote[],
  column: Exclude<Column, 'name'>,
  descending: boolean,
): Quote[] {
  const figure = column === 'price' ? ({ price }: Quote) => price : changeOf;
  const sign = descending ? -1 : 1;
  return quotes.toSorted((a, b) => {
    const [left, right] = [figure(a), figure(b)];
    if (left === undefined || right === undefined) {
      return Number(left === undefined) - Number(right === undefined);
    }
    return sign * (left - right);
  });
}
