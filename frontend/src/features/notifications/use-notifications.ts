import { useMemo, useSyncExternalStore } from 'react';
import { useStreamClient } from '@sluice/client/react';
import { centerOf } from './center';
import type { Notification } from './notification';
import { readMarks as marks } from './read-marks';

/** The notifications of some topics, with what the reader has seen of them, in all tabs. */
export function useNotifications(topics: readonly string[]) {
  const client = useStreamClient();
  const center = centerOf(client, topics);
  const inbox = useSyncExternalStore(center.subscribe, center.getSnapshot);
  const { since, read } = useSyncExternalStore(marks.subscribe, marks.getSnapshot);
  return useMemo(() => {
    // Of those that say the same, the newest stands for all.
    const newest = new Map(inbox.notifications.toReversed().map((it) => [it.key, it]));
    const isUnread = (it: Notification) =>
      it.at > since && !read.has(it.key) && newest.get(it.key) === it;
    return {
      ...inbox,
      isUnread,
      unread: inbox.notifications.filter(isUnread),
      markRead: (some: readonly Notification[]) => marks.mark(some.map(({ key }) => key)),
    };
  }, [inbox, since, read]);
}
