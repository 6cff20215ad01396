import { useEffect, useRef, useState } from 'react';
import { Button } from '../../ui/Button';
import { ArrivalTime } from '../../ui/ArrivalTime';
import { focusNeighbour } from '../../lib/focus';
import { Screen } from '../../ui/Screen';
import type { ScreenProps } from '../../ui/screen-props';
import { count } from '../../lib/text';
import { TopicGate } from '../../ui/TopicGate';
import { canNotify, useDesktop } from './desktop';
import { choose, defaultTopics } from './notification-topics';
import type { Notification } from './notification';
import { SeverityMark } from './SeverityMark';
import { useNotifications } from './use-notifications';

const example = {
  topic: 'stream:notifications',
  data: '{"title":"Disk full","body":"5% left.","severity":"warning"}',
};

/** All notifications, with what is new to the reader. */
export default function Notifications({ topics, setQuery }: ScreenProps) {
  const inbox = useNotifications(topics);
  const { notifications, unread, isUnread, markRead } = inbox;
  const [onlyUnread, setOnlyUnread] = useState(false);
  const filter = useRef<HTMLButtonElement>(null);
  // The other screens show notifications of the same topics.
  useEffect(() => choose(topics), [topics]);

  const shown = onlyUnread ? unread : notifications;
  return (
    <Screen
      title="Notifications"
      description={unread.length > 0 ? `${count(unread.length)} unread` : 'All read'}
      actions={
        <>
          <Button ref={filter} aria-pressed={onlyUnread} onClick={() => setOnlyUnread(!onlyUnread)}>
            Unread only
          </Button>
          <Button aria-disabled={unread.length === 0} onClick={() => markRead(unread)}>
            Mark all read
          </Button>
          {canNotify() && <DesktopButton />}
        </>
      }
    >
      <ToldOf
        topics={topics}
        onBack={() => {
          setQuery(new URLSearchParams());
          choose(defaultTopics);
        }}
      />
      <TopicGate stream={inbox} isEmpty={notifications.length === 0} example={example}>
        {shown.length === 0 && (
          <p className="p-6 text-center text-sm text-muted">No unread notifications</p>
        )}
        <ul
          aria-label="Notifications"
          className="overflow-hidden rounded-2xl border border-line bg-surface shadow-sm empty:hidden"
        >
          {shown.map((notification) => (
            <Row
              key={notification.seq}
              notification={notification}
              isUnread={isUnread(notification)}
              onRead={(button) => {
                focusNeighbour(button, filter.current);
                markRead([notification]);
              }}
            />
          ))}
        </ul>
      </TopicGate>
    </Screen>
  );
}

/** Names the topics of the notifications if they are not the default ones. */
function ToldOf({ topics, onBack }: { topics: readonly string[]; onBack: () => void }) {
  if (topics.join() === defaultTopics.join()) return null;
  return (
    <p className="text-sm text-muted wrap-anywhere">
      All screens now show notifications from <span className="font-mono">{topics.join(', ')}</span>
      .{' '}
      <button type="button" className="link-button" onClick={onBack}>
        Back to {defaultTopics.join(', ')}
      </button>
    </p>
  );
}

function DesktopButton() {
  const { isOn, isForbidden, isUnable, toggle } = useDesktop();
  if (isUnable || (isForbidden && !isOn)) {
    return (
      <span className="text-sm text-muted">
        {isUnable
          ? 'This browser cannot show desktop notifications'
          : 'Desktop notifications are blocked in the browser'}
      </span>
    );
  }
  return (
    <Button aria-pressed={isOn} onClick={toggle}>
      {isOn ? 'Disable desktop notifications' : 'Enable desktop notifications'}
    </Button>
  );
}

interface RowProps {
  notification: Notification;
  isUnread: boolean;
  onRead: (button: HTMLElement) => void;
}

function Row({ notification, isUnread, onRead }: RowProps) {
  const { title, body, severity, at } = notification;
  return (
    <li
      className={`flex items-start gap-3 border-b border-line px-4 py-3 last:border-b-0 sm:px-5 ${isUnread ? 'bg-accent-soft/40' : ''}`}
    >
      <SeverityMark severity={severity} />
      <div className="min-w-0 flex-1 text-sm">
        <p className={`wrap-anywhere ${isUnread ? 'font-semibold' : ''}`}>
          {isUnread && <span className="sr-only">Unread: </span>}
          {title}
        </p>
        <p className="text-muted wrap-anywhere">{body}</p>
      </div>
      <div className="flex shrink-0 flex-col items-end gap-1">
        <ArrivalTime at={at} />
        {isUnread && (
          <button
            type="button"
            className="link-button"
            aria-label={`Mark read: ${title}`}
            onClick={({ currentTarget }) => onRead(currentTarget)}
          >
            Mark read
          </button>
        )}
      </div>
    </li>
  );
}
