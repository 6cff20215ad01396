import { lazy, Suspense, useEffect, useEffectEvent, useState } from 'react';
import { useStreamClient } from '@sluice/client/react';
import { Boundary } from '../../ui/Boundary';
import { centerOf } from './center';
import { notifyDesktop } from './desktop';
import type { Notification } from './notification';
import { showVisibility } from './visible-tabs';

/** Its code is loaded for the first notification: most pages show none. */
const ToastList = lazy(() => import('./ToastList'));

const none: readonly Notification[] = [];
const MAX_TOASTS = 3;

/** Shows new notifications of some topics below the screen, unless it shows them itself, or on the desktop. */
export function Toasts({ topics, isHidden }: { topics: readonly string[]; isHidden: boolean }) {
  const client = useStreamClient();
  const [news, setNews] = useState(none);

  useEffect(() => showVisibility(), []);

  const onNews = useEffectEvent((notification: Notification) => {
    void notifyDesktop(notification);
    // While the tab is hidden, the list and the badge are enough.
    if (isHidden || document.hidden) return;
    setNews((before) => [...before, notification].slice(-MAX_TOASTS));
  });

  useEffect(() => centerOf(client, topics).onNews((it) => onNews(it)), [client, topics]);

  if (news === none) return null;
  return (
    // Around the list only: the desktop gets notifications also after the list has failed.
    <Boundary what="notifications">
      <Suspense>
        <ToastList news={news} limit={MAX_TOASTS} isHidden={isHidden} />
      </Suspense>
    </Boundary>
  );
}
