/**
 * The path that the app is served below, with a slash at its end: `/`, or `/live/` behind a proxy. All screens are
 * one level below it.
 */
export const base = new URL('.', document.baseURI).pathname;

/** The URL of a path of the app, such as `/logs`. */
export const urlOf = (path: string): string => base + path.slice(1);
