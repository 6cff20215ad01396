import { Toast } from '@base-ui/react/toast';
import { useEffect } from 'react';
import type { Notification } from './notification';
import { SeverityMark } from './SeverityMark';

/** How long a toast stays, in milliseconds. The time stops while the pointer or the focus is on one. */
const STAY = 8_000;

const manager = Toast.createToastManager<Notification>();
/** The notifications that the manager has received. */
const added = new WeakSet<Notification>();

interface Props {
  news: readonly Notification[];
  limit: number;
  isHidden: boolean;
}

/** Shows each notification for some seconds, and critical ones until they are dismissed. */
export default function ToastList({ news, limit, isHidden }: Props) {
  useEffect(() => news.filter((it) => !added.has(it)).forEach(add), [news]);

  useEffect(() => {
    if (isHidden) manager.close();
  }, [isHidden]);

  return (
    <Toast.Provider toastManager={manager} limit={limit}>
      <Toast.Viewport aria-label="New notifications" className="toasts">
        <List />
      </Toast.Viewport>
    </Toast.Provider>
  );
}

function add(notification: Notification) {
  added.add(notification);
  const { title, body, severity } = notification;
  const isCritical = severity === 'critical';
  manager.add({
    ...{ title, description: body, data: notification },
    priority: isCritical ? 'high' : 'low',
    timeout: isCritical ? 0 : STAY,
  });
}

function List() {
  return Toast.useToastManager<Notification>().toasts.map((toast) => (
    <Toast.Root
      key={toast.id}
      toast={toast}
      aria-hidden={false} // like its button: both can have the focus
      swipeDirection={['right', 'down']}
      className="rounded-xl border border-line bg-surface p-3 shadow-lg data-limited:hidden motion-safe:animate-arrive"
    >
      <Toast.Content className="flex items-start gap-3">
        {toast.data && <SeverityMark severity={toast.data.severity} />}
        <div className="min-w-0 flex-1 text-sm">
          <Toast.Title render={<p />} className="font-semibold wrap-anywhere" />
          <Toast.Description className="line-clamp-3 text-muted wrap-anywhere" />
        </div>
        <Toast.Close
          className="link-button"
          aria-hidden={false}
          aria-label={`Dismiss: ${toast.data?.title}`}
        >
          Dismiss
        </Toast.Close>
      </Toast.Content>
    </Toast.Root>
  ));
}
