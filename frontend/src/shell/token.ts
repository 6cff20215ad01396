import { store, stored } from '../components/stored';

const NAME = 'sluice:token';

/** The reader's access token. It is kept for this tab only, and is never part of an address that is shown. */
export const token = () => stored(NAME, 'sessionStorage');

/** Keeps a token; an empty one removes it. */
export const setToken = (next: string) =>
  store(NAME, next === '' ? undefined : next, 'sessionStorage');
