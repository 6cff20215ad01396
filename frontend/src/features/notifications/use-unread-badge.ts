import { useEffect } from 'react';
import { urlOf } from '../../lib/base';
import { useNotifications } from './use-notifications';

/** Shows how many notifications are unread on the tab of the page: in its title, and on its icon. */
export function useUnreadBadge(topics: readonly string[], title: string): number {
  const unread = useNotifications(topics).unread.length;

  useEffect(() => {
    document.title = unread > 0 ? `(${unread}) ${title}` : title;
  }, [unread, title]);

  useEffect(() => {
    const icon = document.querySelector<HTMLLinkElement>('link[rel="icon"]');
    if (icon) icon.href = urlOf(unread > 0 ? '/favicon-unread.svg' : '/favicon.svg');
  }, [unread]);

  return unread;
}
