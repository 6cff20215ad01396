import { Button } from '../../ui/Button';
import { toNDJSON } from './ndjson';
import type { Rows } from './tail';

/** Saves the rows that are shown as a file. */
export function ExportButton({ rows }: { rows: Rows }) {
  function save() {
    const shown = Array.from({ length: rows.length }, (_, index) => rows.at(index));
    const file = new Blob(toNDJSON(shown), { type: 'application/x-ndjson' });
    const link = document.createElement('a');
    link.href = URL.createObjectURL(file);
    link.download = `logs-${new Date().toISOString().replaceAll(':', '-')}.ndjson`;
    link.click();
    URL.revokeObjectURL(link.href);
  }

  return (
    <Button onClick={save}>
      Export<span className="sr-only"> the lines shown as NDJSON</span>
    </Button>
  );
}
