/** What the app hands to each screen, from the page's address. */
export interface ScreenProps {
  /** The topics that the address names, or else the screen's own default ones. */
  readonly topics: readonly string[];
  /** The query of the address. */
  readonly query: URLSearchParams;
  /** Replaces the query of the address, so that it can be shared and reloaded, without leaving the screen. */
  readonly setQuery: (query: URLSearchParams) => void;
}
