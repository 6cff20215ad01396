/** What the page's own address may say about the subscription. */
const passedOn = new Set(['channel', 'stream', 'key', 'last', 'every']);

/**
 * The gateway that the page belongs to: `VITE_API_URL`; without it the usual local one in development,
 * and in production the page's own origin, as the gateway then serves the page too.
 */
export function gatewayURL({ VITE_API_URL, DEV }: ImportMetaEnv): string {
  const url = VITE_API_URL?.replace(/\/+$/, '');
  if (url) return url;
  return DEV ? 'http://localhost:4000' : '';
}

/**
 * The subscription for a page opened as `…/?channel=orders&channel=prices.*`, so that people follow their
 * own topics by changing the address. An address that says nothing leaves the choice to the gateway.
 */
export function subscriptionURL(gateway: string, pageSearch: string): string {
  const asked = [...new URLSearchParams(pageSearch)].filter(([name]) => passedOn.has(name));
  const query = new URLSearchParams(asked).toString();
  return query === '' ? `${gateway}/events` : `${gateway}/events?${query}`;
}
