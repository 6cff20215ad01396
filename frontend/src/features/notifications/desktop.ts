import { useState } from 'react';
import { urlOf } from '../../lib/base';
import { createSetting, useSetting } from '../../lib/setting';
import { stored } from '../../lib/stored';
import type { Notification as Note } from './notification';
import { isAnyVisible } from './visible-tabs';

const NAME = 'sluice:desktop';

/** Whether the browser can show notifications at all, as on plain HTTP from another machine it cannot. */
export const canNotify = () => 'Notification' in window && window.isSecureContext;

/** `unable` is set when a notification could not be shown. The next page reads it as `off`. */
const setting = createSetting<'on' | 'off' | 'unable'>(NAME, ['off', 'on']);

/** Shows a notification outside of the page, if that is wanted and no tab of the app is in sight. */
export async function notifyDesktop({ key, at, title, body }: Note): Promise<void> {
  if (!canNotify() || stored(NAME) !== 'on' || Notification.permission !== 'granted') return;
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
    setting.set('unable');
  }
}

/** Whether notifications are shown outside of the page, and the function that asks the reader for it. */
export function useDesktop() {
  const state = useSetting(setting);
  const [permission, setPermission] = useState(() =>
    canNotify() ? Notification.permission : 'denied',
  );

  async function turnOn() {
    const answer = await Notification.requestPermission();
    setPermission(answer);
    if (answer !== 'granted') return;
    setting.set('on');
    // The first one is an example, and fails at once if the browser shows none.
    show('Desktop notifications are on', {
      body: 'New notifications will look like this.',
      tag: NAME,
    });
  }

  return {
    isOn: state === 'on' && permission === 'granted',
    isForbidden: permission === 'denied',
    isUnable: state === 'unable',
    toggle: () => {
      if (state === 'on') setting.set('off');
      else void turnOn();
    },
  };
}
