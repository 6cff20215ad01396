/** Between a field and a name inside it, in the name of a column: no key that people choose holds it. */
const SEPARATOR = '\u001f';

/** A message with more figures than this is not for charts; the first ones are taken. */
const MAX_FIGURES = 100;

/** Names of fields that hold an id or a time, whose sum and chart have no meaning: `user_id`, `createdAt`. */
const labels = /(^|[_.-])(id|uuid|at|ts|time(stamp)?|date)$|[a-z\d](Id|ID|At|Timestamp|Date)$/;
/** Figures whose names end like times: `response_time`. */
const durations = /[a-z\d]_time$/;
/** Numbers from here on are times in seconds since the epoch, or in a smaller unit. */
const EPOCH_SECONDS = 1e9;

/**
 * The figures in a message of any shape, by column: a bare number, the numbers among its fields, and those one
 * level below, which break a figure down (`by_page: {"/": 9}`). Numbers may be written as text, as
 * the fields of a Redis Stream or hash always are.
 */
export function figuresOf(message: unknown): Record<string, number> | undefined {
  if (typeof message !== 'object' || message === null) {
    const figure = numberIn(message);
    return figure === undefined ? undefined : { value: figure };
  }
  const figures = Object.entries(message)
    .filter(([field, value]) => !isLabel(field, value))
    .flatMap(([field, value]) => figuresIn(field, value));
  return figures.length > 0 ? Object.fromEntries(figures.slice(0, MAX_FIGURES)) : undefined;
}

function figuresIn(field: string, value: unknown): [string, number][] {
  if (typeof value === 'object' && value !== null) {
    // The names in a breakdown are data: Austria is `AT`, and a page may be `/id`.
    const isBreakdown = field.startsWith('by_');
    return Object.entries(value).flatMap(([name, part]) => {
      const figure = numberIn(part);
      return figure === undefined || (!isBreakdown && isLabel(name, part))
        ? []
        : [[`${field}${SEPARATOR}${name}`, figure]];
    });
  }
  const figure = numberIn(value);
  return figure === undefined ? [] : [[field, figure]];
}

function isLabel(field: string, value: unknown): boolean {
  return labels.test(field) && !(durations.test(field) && Number(value) < EPOCH_SECONDS);
}

function numberIn(value: unknown): number | undefined {
  const isText = typeof value === 'string' && value.trim() !== '';
  if (typeof value !== 'number' && !isText) return undefined;
  const figure = Number(value);
  return Number.isFinite(figure) ? figure : undefined;
}

export type Columns = ReturnType<typeof sortColumns>;

/**
 * Sorts the columns that {@link figuresOf} made, in the order in which they are given: figures to be drawn over time, and
 * breakdowns to be summed up.
 */
export function sortColumns(names: readonly string[]) {
  const figures: { field: string; column: number }[] = [];
  const breakdowns = new Map<string, { name: string; column: number }[]>();
  names.forEach((key, column) => {
    const [field = '', name] = key.split(SEPARATOR);
    if (name === undefined) figures.push({ field, column });
    else breakdowns.set(field, [...(breakdowns.get(field) ?? []), { name, column }]);
  });
  return { figures, breakdowns: Array.from(breakdowns, ([field, parts]) => ({ field, parts })) };
}

/** Figures that count what happened, and so add up; others, such as users or percents, are measured. */
const counts =
  /(^|_)(views|visits|hits|requests|orders|sales|sign_?ups|errors|events|clicks|messages)$/i;

export function isCount(field: string): boolean {
  return counts.test(field);
}

/** Whether the values of a column of {@link figuresOf} add up: counts, and the parts of a breakdown. */
export function isSum(column: string): boolean {
  return isCount(column) || column.includes(SEPARATOR);
}
