import { useEffect, useState } from 'react';
import { urlOf } from '../../lib/base';
import { store, stored } from '../../lib/stored';
import type { Notification as Note } from './notification';
import { isAnyVisible } from './visible-tabs';

const NAME = 'sluice:desktop';

/** Dispatched when a notification could not be shown. */
const FAILED = 'sluice:desktop-failed';

/** Whether the browser can show notifications at all, as on plain HTTP from another machine it cannot. */
export const canNotify = () => 'Notification' in window && window.isSecureContext;

const isWanted = () => stored(NAME) === 'on';
const remember = (isOn: boolean) => store(NAME, isOn ? 'on' : 'off');

/** Shows a notification outside of the page, if that is wanted and no tab of the app is in sight. */
export async function notifyDesktop({ key, at, title, body }: Note): Promise<void> {
  if (!canNotify() || !isWanted() || Notification.permission !== 'granted') return;
  if (await isAnyVisible()) return;
  // The tag makes one of the notifications that several tabs show.
  show(title, { body, tag: `${key} ${at}`, icon: urlOf('/favicon.svg') });
}

/** Shows a notification. Browsers on Android throw, because only service workers may do that. */
function show(title: string, options: NotificationOptions) {
  try {
    const shown = new Notification(title, options);
    shown.onclick = () => {
      window.focus();
      shown.close();
    };
  } catch {
    remember(false);
    window.dispatchEvent(new Event(FAILED));
  }
}

/** Whether notifications are shown outside of the page, and what asks the reader for it. */
export interface Desktop {
  readonly isOn: boolean;
  readonly isForbidden: boolean;
  readonly isUnable: boolean;
  readonly toggle: () => void;
}

export function useDesktop(): Desktop {
  const [wanted, setWanted] = useState(isWanted);
  const [isUnable, setUnable] = useState(false);
  const [permission, setPermission] = useState(() =>
    canNotify() ? Notification.permission : 'denied',
  );

  useEffect(() => {
    const onFailed = () => {
      setWanted(false);
      setUnable(true);
    };
    window.addEventListener(FAILED, onFailed);
    return () => window.removeEventListener(FAILED, onFailed);
  }, []);

  function want(next: boolean) {
    setWanted(next);
    remember(next);
  }

  async function turnOn() {
    const answer = await Notification.requestPermission();
    setPermission(answer);
    if (answer !== 'granted') return;
    want(true);
    // The first one is an example, and fails at once if the browser shows none.
    show('Desktop notifications are on', {
      body: 'New notifications will look like this.',
      tag: NAME,
    });
  }

  return {
    isOn: wanted && permission === 'granted',
    isForbidden: permission === 'denied',
    isUnable,
    toggle: () => {
      if (wanted) want(false);
      else void turnOn();
    },
  };
}
