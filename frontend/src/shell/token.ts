import type { StreamClient } from '@sluice/client';
import { store, stored } from '../lib/stored';
import { readChoiceAgain } from '../features/notifications/notification-topics';

const NAME = 'sluice:token';

/** The reader's access token. It is kept for this tab only, and is never part of an address that is shown. */
export const token = () => stored(NAME, 'sessionStorage');

/** Keeps another token, or with an empty text none, and continues with it at once. */
export function changeToken(client: StreamClient, next: string) {
  store(NAME, next === '' ? undefined : next, 'sessionStorage');
  client.tokenChanged();
  readChoiceAgain(); // topics that were refused before may be open now
}
