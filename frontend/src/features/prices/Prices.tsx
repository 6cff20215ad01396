import { useMemo, useState } from 'react';
import { Panel } from '../../ui/Panel';
import type { ScreenProps } from '../../ui/screen-props';
import { Screen } from '../../ui/Screen';
import { count } from '../../lib/text';
import { TopicGate } from '../../ui/TopicGate';
import { useView } from '../../lib/use-view';
import { firstQuotes, nextOrder, type Order } from './order';
import { collectQuotes } from './quote';
import { QuoteTable } from './QuoteTable';

/** More changes than four a second cannot be read. */
const options = { every: '250ms' };
/** A table is not for thousands of rows; the field above it narrows them down. */
const MAX_ROWS = 200;

const example = { topic: 'key:price:BTC', data: '101.5' };

/** Keys as a live table. */
export default function Prices({ topics }: ScreenProps) {
  const { stream, topics: known, byTopic } = useView(topics, options, collectQuotes);
  const [search, setSearch] = useState('');
  const [order, setOrder] = useState<Order>({ column: 'name', descending: false });
  const found = useMemo(() => {
    const text = search.toLowerCase();
    return known.filter((topic) => topic.toLowerCase().includes(text));
  }, [known, search]);
  const shown = firstQuotes(found, byTopic, order, MAX_ROWS);
  return (
    <Screen
      title="Prices"
      actions={
        <input
          type="search"
          aria-label="Search by name"
          placeholder="Search"
          value={search}
          onChange={({ target }) => setSearch(target.value)}
          className="field w-40"
        />
      }
    >
      <TopicGate stream={stream} isEmpty={byTopic.size === 0} example={example}>
        <Panel className="overflow-hidden">
          <QuoteTable
            quotes={shown}
            order={order}
            onSort={(column) => setOrder(nextOrder(order, column))}
          />
          {shown.length === 0 && (
            <p className="px-4 py-6 text-center text-sm text-muted">No name contains “{search}”.</p>
          )}
        </Panel>
        <p className="text-sm text-muted tabular-nums">
          {found.length > MAX_ROWS && `The first ${MAX_ROWS} of ${count(found.length)} keys. `}
          Change is since this page was opened.
        </p>
      </TopicGate>
    </Screen>
  );
}
