/** Adds the cursor to a subscription's URL, absolute or relative, so that it goes on from there. */
export function withCursor(url: string, cursor: string): string {
  if (cursor === '') return url;
  const separator = url.includes('?') ? '&' : '?';
  return `${url}${separator}lastEventId=${encodeURIComponent(cursor)}`;
}
