/** The tokens of JSON: strings, brackets, separators, and the words and numbers between them. */
export const TOKENS = /"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\],:]|[^\s{}[\],:"]+/gs;

/**
 * JSON spread over lines, two spaces for each level. Unlike a round trip through `JSON.parse` it keeps
 * numbers as they were written, and keys that occur twice. The text must be valid JSON.
 */
export function indentJSON(json: string): string {
  const tokens = json.match(TOKENS) ?? [];
  let depth = 0;
  let out = '';
  tokens.forEach((token, index) => {
    const isEmpty = (token === '{' || token === '[') && isClosing(tokens[index + 1]);
    if (isClosing(token) && !isOpening(tokens[index - 1])) out += newLine(--depth);
    else if (isClosing(token)) depth -= 1;
    out += token === ':' ? ': ' : token;
    if (isOpening(token)) depth += 1;
    if (token === ',' || (isOpening(token) && !isEmpty)) out += newLine(depth);
  });
  return out;
}

const isOpening = (token: string | undefined) => token === '{' || token === '[';
const isClosing = (token: string | undefined) => token === '}' || token === ']';
const newLine = (depth: number) => `\n${'  '.repeat(depth)}`;
