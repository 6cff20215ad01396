import { parse } from '@sluice/client';
import { TOKENS } from './indent';

/**
 * The members of a JSON object by name, each as JSON without spaces; `undefined` if the text is not an object.
 * Unlike `JSON.parse`, it keeps numbers as they were written: JavaScript rounds integers beyond 2^53.
 */
export function membersOf(data: string): Map<string, string> | undefined {
  if (!/^\s*\{/.test(data) || parse(data).invalid) return undefined;
  const members = new Map<string, string>();
  let depth = 0;
  let name: string | undefined;
  let value = '';
  for (const [token] of data.matchAll(TOKENS)) {
    if (token === '}' || token === ']') depth -= 1;
    if (depth > 1 || (depth === 1 && token !== ',' && token !== ':')) {
      if (name === undefined) name = JSON.parse(token) as string;
      else value += token;
    } else if (name !== undefined && token !== ':') {
      members.set(name, value);
      name = undefined;
      value = '';
    }
    if (token === '{' || token === '[') depth += 1;
  }
  return members;
}

/** A member's value for a line of text: a string without its quotes, anything else as JSON. */
export function memberText(json: string | undefined): string {
  return json?.startsWith('"') ? (JSON.parse(json) as string) : (json ?? '');
}
