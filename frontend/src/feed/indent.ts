/** The tokens of JSON: strings, brackets, separators, and the words and numbers between them. */
export const TOKENS = /"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\],:]|[^\s{}[\],:"]+/gs;

/** Deeper levels stay on one line, because their indentation alone would fill the memory. */
const MAX_DEPTH = 20;

/**
 * JSON spread over lines, two spaces for each level. Unlike a round trip through `JSON.parse` it keeps
 * numbers as they were written, and keys that occur twice. The text must be valid JSON.
 *
 * @param maxLength - formatting stops at the first token that exceeds it
 */
export function indentJSON(json: string, maxLength = Infinity): string {
  let depth = 0;
  let out = '';
  let before = '';
  for (const [token] of json.matchAll(TOKENS)) {
    if (isClosing(token)) depth -= 1;
    const isFirst = isOpening(before);
    const isOnNewLine = isClosing(token) ? !isFirst : isFirst || before === ',';
    const level = isClosing(token) ? depth + 1 : depth;
    if (isOnNewLine && level <= MAX_DEPTH) out += `\n${'  '.repeat(depth)}`;
    out += token === ':' ? ': ' : token;
    if (isOpening(token)) depth += 1;
    if (out.length > maxLength) break;
    before = token;
  }
  return out;
}

const isOpening = (token: string) => token === '{' || token === '[';
const isClosing = (token: string) => token === '}' || token === ']';
