import { useState } from 'react';
import type { Notification as Note } from './notification';

const NAME = 'sluice:desktop';

/** Whether the browser can show notifications at all, as on plain HTTP from another machine it cannot. */
export const canNotify = () => 'Notification' in window && window.isSecureContext;

function isWanted(): boolean {
  try {
    return localStorage.getItem(NAME) === 'on';
  } catch {
    return false;
  }
}

/** Shows a notification outside of the page, if that is wanted and the page is out of sight. */
export function notifyDesktop({ key, title, body }: Note) {
  if (!document.hidden || !canNotify() || !isWanted() || Notification.permission !== 'granted') {
    return;
  }
  // The tag makes one of the notifications that several tabs show.
  const shown = new Notification(title, { body, tag: key, icon: '/favicon.svg' });
  shown.onclick = () => {
    window.focus();
    shown.close();
  };
}

/** Whether notifications are shown outside of the page, and what asks the reader for it. */
export function useDesktop(): { isOn: boolean; isForbidden: boolean; toggle: () => void } {
  const [isOn, setOn] = useState(isWanted);
  const [permission, setPermission] = useState(() =>
    canNotify() ? Notification.permission : 'denied',
  );

  function remember(on: boolean) {
    setOn(on);
    try {
      localStorage.setItem(NAME, on ? 'on' : 'off');
    } catch {
      // It is asked for again next time.
    }
  }

  function toggle() {
    if (isOn) {
      remember(false);
      return;
    }
    void Notification.requestPermission().then((answer) => {
      setPermission(answer);
      remember(answer === 'granted');
    });
  }

  return { isOn: isOn && permission === 'granted', isForbidden: permission === 'denied', toggle };
}
