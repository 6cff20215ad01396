import { useEffect, useEffectEvent, useState } from 'react';
import { useStreamClient } from '@sluice/client/react';
import { centerOf } from './center';
import { notifyDesktop } from './desktop';
import type { Notification } from './notification';
import { SeverityMark } from './SeverityMark';
import { showVisibility } from './visible-tabs';

/** How long a toast stays, in milliseconds. The time stops while the pointer is on it. */
const STAY = 8_000;
const MAX_TOASTS = 3;

/** Shows new notifications of some topics in a corner of each screen for some seconds. */
export function Toasts({ topics }: { topics: readonly string[] }) {
  const client = useStreamClient();
  const [shown, setShown] = useState<readonly Notification[]>([]);

  useEffect(() => showVisibility(), []);

  useEffect(
    () =>
      centerOf(client, topics).onNews((news) => {
        void notifyDesktop(news);
        // While the tab is hidden, the list and the badge are enough.
        if (!document.hidden) setShown((before) => [...before, news].slice(-MAX_TOASTS));
      }),
    [client, topics],
  );

  const dismiss = (gone: Notification) => setShown((before) => before.filter((it) => it !== gone));

  return (
    <section aria-label="New notifications" aria-live="polite" className="toasts">
      {shown.map((notification) => (
        <Toast key={notification.seq} notification={notification} onDismiss={dismiss} />
      ))}
    </section>
  );
}

interface ToastProps {
  notification: Notification;
  onDismiss: (notification: Notification) => void;
}

function Toast({ notification, onDismiss }: ToastProps) {
  const [held, setHeld] = useState(false);
  const onTimeout = useEffectEvent(() => onDismiss(notification));

  useEffect(() => {
    if (held) return;
    const timer = setTimeout(() => onTimeout(), STAY);
    return () => clearTimeout(timer);
  }, [held]);

  const { title, body, severity } = notification;
  return (
    <div
      onMouseEnter={() => setHeld(true)}
      onMouseLeave={() => setHeld(false)}
      onFocus={() => setHeld(true)}
      onBlur={() => setHeld(false)}
      className="pointer-events-auto flex items-start gap-3 rounded-xl border border-line bg-surface p-3 shadow-lg motion-safe:animate-arrive"
    >
      <SeverityMark severity={severity} />
      <div className="min-w-0 flex-1 text-sm">
        <p className="font-semibold wrap-anywhere">{title}</p>
        <p className="line-clamp-3 text-muted wrap-anywhere">{body}</p>
      </div>
      <button
        type="button"
        className="link-button"
        aria-label={`Dismiss: ${title}`}
        onClick={() => onDismiss(notification)}
      >
        Dismiss
      </button>
    </div>
  );
}
