/** Where a text is kept: for all tabs and the next visit, or for this tab only. */
type Place = 'localStorage' | 'sessionStorage';

/** The texts that the browser does not keep, such as with blocked site data. They last as long as the page. */
const unkept = new Map<string, string>();

/** The text that is kept under a name; `undefined` without one. */
export function stored(name: string, place: Place = 'localStorage'): string | undefined {
  try {
    return unkept.get(name) ?? window[place].getItem(name) ?? undefined;
  } catch {
    return undefined;
  }
}

/** The same, parsed as JSON. Another version of the app may have written it, so the caller must check it. */
export function storedJSON(name: string): unknown {
  try {
    return JSON.parse(stored(name) ?? 'null');
  } catch {
    return null;
  }
}

/** Keeps a text, or with `undefined` removes it. A browser that keeps nothing loses it with the page. */
export function store(name: string, text: string | undefined, place: Place = 'localStorage') {
  unkept.delete(name);
  try {
    if (text === undefined) window[place].removeItem(name);
    else window[place].setItem(name, text);
  } catch {
    if (text !== undefined) unkept.set(name, text);
  }
}
