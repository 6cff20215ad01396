/** The properties of each screen, from the address of the page. */
export interface ScreenProps {
  /** The topics that the address names, or else the screen's own default ones. */
  readonly topics: readonly string[];
  readonly query: URLSearchParams;
  /**
   * Changes the query of the address, which can be shared and reloaded. With `isStep`, the Back button returns to
   * the query before.
   */
  readonly setQuery: (query: URLSearchParams, isStep?: boolean) => void;
}
