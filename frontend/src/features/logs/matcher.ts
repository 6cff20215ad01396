/** A part of a text, as its offsets. */
export interface Range {
  readonly start: number;
  readonly end: number;
}

/** Finds the matches of a query in texts. */
export interface Matcher {
  test: (text: string) => boolean;
  /** The parts of a text that match, in order, without overlap; no empty ones, and not more than fit a row. */
  ranges: (text: string) => readonly Range[];
}

export interface Query {
  readonly text: string;
  readonly isRegex: boolean;
}

/** The maximum number of marks in a text: a pattern such as `.` matches each character. */
const MAX_RANGES = 100;

/**
 * Compiles a query; `undefined` for an empty one. Upper and lower case count as the same.
 *
 * Rejects with a readable message if a regular expression has an error.
 *
 * Regular expressions are RE2's: JavaScript's own take exponential time for some patterns that are quickly
 * typed by accident, and cannot be interrupted, so that the page would hang. RE2's time is linear in
 * the text. The engine is loaded when the first expression is used.
 */
export async function compileQuery({ text, isRegex }: Query): Promise<Matcher | undefined> {
  if (text === '') return undefined;
  return isRegex ? compileRegex(text) : compileText(text);
}

function compileText(text: string): Matcher {
  const escaped = text.replace(/[\\^$.*+?()[\]{}|]/g, String.raw`\$&`);
  const first = new RegExp(escaped, 'i');
  const all = new RegExp(escaped, 'gi');
  return {
    test: (candidate) => first.test(candidate),
    ranges: (candidate) => {
      const matches = [...candidate.matchAll(all)].slice(0, MAX_RANGES);
      return matches.map(({ 0: { length }, index }) => ({ start: index, end: index + length }));
    },
  };
}

async function compileRegex(text: string): Promise<Matcher> {
  const { RE2JS } = await import('re2js');
  const pattern = orExplained(() => RE2JS.compile(text, RE2JS.CASE_INSENSITIVE));
  return {
    test: (candidate) => pattern.test(candidate),
    ranges: (candidate) => {
      const matcher = pattern.matcher(candidate);
      const ranges: Range[] = [];
      while (ranges.length < MAX_RANGES && matcher.find()) {
        if (matcher.end() > matcher.start()) {
          ranges.push({ start: matcher.start(), end: matcher.end() });
        }
      }
      return ranges;
    },
  };
}

/** Removes the name of the engine, and a flag that the reader did not type, from the message of an error. */
function orExplained<T>(compile: () => T): T {
  try {
    return compile();
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    throw new Error(message.replace(/^error parsing regexp: /, '').replace('`(?i)', '`'), {
      cause: error,
    });
  }
}
