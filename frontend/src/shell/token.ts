const NAME = 'sluice:token';

/** The reader's access token. It is kept for this tab only, and never in an address that is shown. */
export function token(): string | undefined {
  try {
    return sessionStorage.getItem(NAME) ?? undefined;
  } catch {
    return undefined;
  }
}

export function setToken(next: string) {
  try {
    if (next === '') sessionStorage.removeItem(NAME);
    else sessionStorage.setItem(NAME, next);
  } catch {
    // The browser keeps nothing for this page; the settings then show that there is no token.
  }
}
