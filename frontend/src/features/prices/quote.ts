import {
  type Collector,
  type Entry,
  mayOverlap,
  type MessageEntry,
  type SubscriptionState,
} from '@sluice/client';
import { memberText, membersOf } from '../../feed/members';

/** A key as a row: its value now, and how it has moved since the page follows it. */
export interface Quote {
  /** `key:price:BTC` */
  readonly topic: string;
  /** `unknown`: after a gap, until the value arrives again. The key may have been deleted. */
  readonly state: 'there' | 'gone' | 'unsupported' | 'unknown';
  /** `undefined` if the value is neither a number nor an object with one under a common name. */
  readonly price: number | undefined;
  /** The most decimals that the price was written with so far: digits that come and go make it jump. */
  readonly decimals: number;
  /** What else there is to the value: its other fields, or all of it. */
  readonly detail: string;
  /** The first price that was seen. */
  readonly opened: number | undefined;
  readonly direction: 'up' | 'down' | undefined;
  readonly changes: number;
  /** The newest prices, oldest first. */
  readonly history: readonly number[];
}

/** Points of the small line of a row. */
const HISTORY = 60;
const MAX_DECIMALS = 8;
/** The longest detail, in characters: a row shows one line of it. */
const MAX_DETAIL = 500;

const priceFields = ['price', 'value', 'last', 'close', 'amount', 'rate', 'bid'];

/** How many quotes are kept of keys that are not there any more. */
const MAX_ABSENT = 300;

const collator = new Intl.Collator('en', { numeric: true });

export interface Quotes {
  readonly stream: SubscriptionState;
  /** The topics in the order of their names: the same array until a key comes or goes. */
  readonly topics: readonly string[];
  readonly byTopic: ReadonlyMap<string, Quote>;
}

/** Collects the quotes of all keys that a subscription finds. */
export function collectQuotes(): Collector<Quotes> {
  const quotes = new Map<string, Quote>();
  const absent = new Set<string>();
  let topics: readonly string[] = [];
  let byTopic: ReadonlyMap<string, Quote> = new Map();
  let isChanged = false;

  function onEntry(entry: Entry) {
    isChanged = true;
    if (entry.kind === 'gap') {
      forget(entry.topic);
      return;
    }
    const quote = nextQuote(quotes.get(entry.topic), entry);
    quotes.set(entry.topic, quote);
    if (quote.state === 'gone') retire(quote);
    else absent.delete(quote.topic);
  }

  /** After a gap the gateway sends all values again, except those of keys that were deleted. */
  function forget(topic: string) {
    for (const quote of quotes.values()) {
      if (!mayOverlap(topic, quote.topic) || quote.state === 'gone') continue;
      // A quote that did not arrive after the last gap either is gone.
      if (quote.state === 'unknown') retire(quote);
      else quotes.set(quote.topic, { ...quote, state: 'unknown', direction: undefined });
    }
  }

  function retire({ topic }: Quote) {
    absent.delete(topic);
    absent.add(topic);
    for (const oldest of absent) {
      if (absent.size <= MAX_ABSENT) break;
      absent.delete(oldest);
      quotes.delete(oldest);
    }
  }

  function read(stream: SubscriptionState): Quotes {
    if (isChanged) {
      topics = inOrder(topics, quotes);
      byTopic = new Map(quotes);
      isChanged = false;
    }
    return { stream, topics, byTopic };
  }

  return { onEntry, read };
}

/** Sorts only where keys have come or gone, and then begins with the order before, which is nearly right. */
function inOrder(before: readonly string[], quotes: ReadonlyMap<string, Quote>): readonly string[] {
  const staying = before.filter((topic) => quotes.has(topic));
  if (staying.length === before.length && before.length === quotes.size) return before;
  const known = new Set(staying);
  const added = [...quotes.keys()].filter((topic) => !known.has(topic));
  return [...staying, ...added].sort(collator.compare);
}

export function nextQuote(before: Quote | undefined, entry: MessageEntry): Quote {
  const quote = before ?? newQuote(entry.topic);
  // A deleted key keeps its last price.
  if (entry.type === 'key.deleted') return { ...quote, state: 'gone', direction: undefined };
  if (entry.type === 'key.unsupported') {
    return { ...quote, state: 'unsupported', direction: undefined, detail: '' };
  }
  const { price, detail, decimals } = readValue(entry.data);
  const isChanged = price !== undefined && price !== quote.price;
  return {
    ...{ topic: quote.topic, state: 'there', price, detail },
    decimals: Math.max(quote.decimals, decimals),
    opened: quote.opened ?? price,
    direction: isChanged ? directionOf(quote.price, price) : quote.direction,
    changes: quote.changes + (isChanged ? 1 : 0),
    history: isChanged ? [...quote.history, price].slice(-HISTORY) : quote.history,
  };
}

function newQuote(topic: string): Quote {
  return {
    ...{ topic, state: 'there', price: undefined, decimals: 0, detail: '', opened: undefined },
    ...{ direction: undefined, changes: 0, history: [] },
  };
}

function directionOf(before: number | undefined, now: number): Quote['direction'] {
  if (before === undefined) return undefined;
  return now > before ? 'up' : 'down';
}

type Value = Pick<Quote, 'price' | 'detail' | 'decimals'>;

/** Reads a number, an object with a number under a usual name, or anything else as text. */
function readValue(data: string): Value {
  const fields = membersOf(data);
  if (!fields) {
    const price = toNumber(data);
    return price === undefined ? text(data) : number(price, data, '');
  }
  const priceOf = (name: string) => toNumber(memberText(fields.get(name)));
  const name = priceFields.find((field) => priceOf(field) !== undefined);
  if (name === undefined) return text(list(fields));
  const price = priceOf(name) ?? 0;
  const written = memberText(fields.get(name));
  fields.delete(name);
  return number(price, written, list(fields));
}

const text = (detail: string): Value => ({
  ...{ price: undefined, detail: detail.slice(0, MAX_DETAIL), decimals: 0 },
});

function number(price: number, written: string, detail: string): Value {
  const decimals = /^-?\d+\.(\d+)$/.exec(written.trim())?.[1]?.length ?? 0;
  return { ...text(detail), price, decimals: Math.min(decimals, MAX_DECIMALS) };
}

function toNumber(text: string): number | undefined {
  const parsed = text.trim() === '' ? NaN : Number(text);
  return Number.isFinite(parsed) ? parsed : undefined;
}

function list(fields: ReadonlyMap<string, string>): string {
  return [...fields].map(([name, json]) => `${name}=${memberText(json)}`).join(' ');
}

/** The change since the page follows the key, as a share. */
export function changeOf({ price, opened }: Quote): number | undefined {
  if (price === undefined || opened === undefined || opened === 0) return undefined;
  return (price - opened) / Math.abs(opened);
}
