import { memo, Suspense, useEffect, useMemo, useState } from 'react';
import { parseTopics } from './address';
import { Boundary } from './ui/Boundary';
import { Loading, ScreenState } from './ui/ScreenState';
import { useNotificationTopics } from './features/notifications/notification-topics';
import { Toasts } from './features/notifications/Toasts';
import { useUnreadBadge } from './features/notifications/use-unread-badge';
import { ConnectionAnnouncement } from './shell/ConnectionAnnouncement';
import { ConnectionNotice } from './shell/ConnectionNotice';
import { Dialogs } from './shell/Dialogs';
import { Link } from './shell/Link';
import { changeQuery, useLocation } from './shell/location';
import { Menu } from './shell/Menu';
import { Preload } from './shell/Preload';
import { screenAt, type ScreenEntry } from './shell/screens';
import { TokenNotice } from './shell/TokenNotice';
import type { StreamClient } from '@sluice/client';
import { StreamProvider } from '@sluice/client/react';

/** The frame around the screens. */
export function App({ client }: { client: StreamClient }) {
  return (
    <StreamProvider client={client}>
      <Frame />
    </StreamProvider>
  );
}

function Frame() {
  const { path, search } = useLocation();
  const notifications = useNotificationTopics();
  const screen = screenAt(path);
  // The notifications start together with the topics of the screen, so one request opens all of them.
  const [isShown, setShown] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setShown(true), screen ? MAX_WAIT : 0);
    return () => clearTimeout(timer);
  }, [screen]);
  const unread = useUnreadBadge(
    isShown ? notifications.topics : none,
    `${screen?.name ?? 'Not found'} – Sluice`,
  );
  return (
    <Dialogs>
      <a href="#content" className="skip-link">
        Skip to the content
      </a>
      <div className="flex h-dvh max-md:flex-col max-md:pb-[calc(3.25rem+env(safe-area-inset-bottom))]">
        <Menu path={path} unread={unread} />
        <div className="flex min-h-0 min-w-0 flex-1 flex-col">
          <ConnectionNotice />
          <TokenNotice />
          <main
            key={path} // each screen starts at its top
            id="content"
            tabIndex={-1}
            className="relative min-h-0 flex-1 overflow-y-auto outline-none"
          >
            {screen ? (
              <Shown
                screen={screen}
                onShown={setShown}
                search={search}
                fallback={path === '/notifications' ? notifications.chosen : screen.topics}
              />
            ) : (
              <NotFound />
            )}
          </main>
          <Toasts topics={notifications.topics} isHidden={path === '/notifications'} />
        </div>
      </div>
      <ConnectionAnnouncement />
    </Dialogs>
  );
}

/** How long the notifications wait for the code of the screen, in milliseconds. */
const MAX_WAIT = 2_000;
const none: readonly string[] = [];

interface ShownProps {
  onShown: (isShown: true) => void;
  screen: ScreenEntry;
  search: string;
  fallback: readonly string[];
}

/** Is not rendered again with each notification. */
const Shown = memo(function Shown({
  screen: { Component },
  onShown,
  search,
  fallback,
}: ShownProps) {
  const props = useMemo(() => {
    const query = new URLSearchParams(search);
    return { query, topics: parseTopics(query, fallback) };
  }, [search, fallback]);
  return (
    <Boundary what="screen">
      <Suspense fallback={<Loading what="the screen" />}>
        <Component {...props} setQuery={changeQuery} />
        <Mounted onMounted={onShown} />
        <Preload />
      </Suspense>
    </Boundary>
  );
});

/** Reports that the parts beside it are mounted. */
function Mounted({ onMounted }: { onMounted: (isMounted: true) => void }) {
  useEffect(() => onMounted(true), [onMounted]);
  return null;
}

function NotFound() {
  return (
    <div className="flex h-full p-6">
      <ScreenState title="Page not found">
        <Link href="/" className="link-button">
          To the live events
        </Link>
      </ScreenState>
    </div>
  );
}
