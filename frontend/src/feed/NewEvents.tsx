import { count, plural } from '../lib/text';

/** Shows how many events have arrived since the reader scrolled down or paused, and a button to show them. */
export function NewEvents({ count: waiting, onShow }: { count: number; onShow: () => void }) {
  if (waiting === 0) return null;
  return (
    <button
      type="button"
      aria-label={`Show ${plural(waiting, 'event')} that came meanwhile`}
      onClick={onShow}
      className="absolute top-3 left-1/2 z-10 min-h-9 -translate-x-1/2 cursor-pointer rounded-full bg-brand px-4 text-sm font-medium text-white shadow-lg tabular-nums hover:brightness-110"
    >
      ↑ {count(waiting)} new
    </button>
  );
}
