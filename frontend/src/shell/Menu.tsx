import { useId, useState, type MouseEvent } from 'react';
import { Logo } from '../ui/Logo';
import { useSingleKeys } from '../lib/single-keys';
import { count } from '../lib/text';
import { ConnectionPill } from './ConnectionPill';
import { useOpenDialog } from '../ui/dialog-context';
import { Icon } from './Icon';
import { Link } from './Link';
import { lastAddress } from './location';
import { type ScreenEntry, screens } from './screens';

/** How many screens have a tab on a phone. The others are behind "More". */
const TABS = 4;

/** The way to all screens: at the side, or on a phone at the top and the bottom. */
export function Menu({ path, unread }: { path: string; unread: number }) {
  return (
    <header className="flex shrink-0 items-center gap-3 border-line max-md:border-b max-md:px-4 max-md:py-2 md:w-56 md:flex-col md:items-stretch md:border-e md:overflow-y-auto md:bg-surface md:p-3 md:short:p-2">
      <Link href="/" className="flex items-center gap-2.5 rounded-lg md:px-2 md:py-1">
        <Logo className="size-8 shrink-0" />
        <span className="font-semibold tracking-tight max-[22rem]:sr-only">Sluice</span>
      </Link>
      <nav
        aria-label="Screens"
        className="max-md:fixed max-md:inset-x-0 max-md:bottom-0 max-md:z-30 max-md:border-t max-md:border-line max-md:bg-surface max-md:pb-[env(safe-area-inset-bottom)] md:mt-2 md:flex-1"
      >
        <ul className="flex max-md:justify-between md:flex-col md:gap-0.5">
          {screens.map((screen, index) => (
            <li
              key={screen.path}
              className={`min-w-0 max-md:flex-1 ${index < TABS ? '' : 'max-md:hidden'}`}
            >
              <MenuLink
                screen={screen}
                path={path}
                className={item}
                unread={screen.path === '/notifications' ? unread : 0}
              />
            </li>
          ))}
          <li className="min-w-0 flex-1 md:hidden">
            <More path={path} />
          </li>
        </ul>
      </nav>
      <div className="flex items-center gap-2 max-md:ms-auto max-md:flex-row-reverse md:flex-col md:items-start">
        <Tools />
        <ConnectionPill />
      </div>
    </header>
  );
}

/** The screens without a tab, on a phone. */
function More({ path }: { path: string }) {
  const id = useId();
  const [isOpen, setOpen] = useState(false);
  const others = screens.slice(TABS);
  const close = ({ currentTarget }: MouseEvent<HTMLElement>) => currentTarget.hidePopover();
  return (
    <>
      <button
        type="button"
        popoverTarget={id}
        aria-expanded={isOpen}
        aria-current={others.some((screen) => screen.path === path) ? 'true' : undefined}
        className={`${item} w-full`}
      >
        <Icon name="more" />
        More
      </button>
      <ul
        id={id}
        popover="auto"
        aria-label="More screens"
        onToggle={(event) => setOpen(event.newState === 'open')}
        onClick={close}
        className="inset-auto end-2 bottom-[calc(4rem+env(safe-area-inset-bottom))] min-w-44 rounded-xl border border-line bg-surface p-1.5 text-ink shadow-lg"
      >
        {isOpen &&
          others.map((screen) => (
            <li key={screen.path}>
              <MenuLink
                screen={screen}
                path={path}
                className="flex items-center gap-3 rounded-lg px-3 py-2.5 text-sm font-medium text-muted aria-[current]:bg-accent-soft aria-[current]:text-accent"
              />
            </li>
          ))}
      </ul>
    </>
  );
}

const item =
  'relative flex items-center gap-3 rounded-lg px-2 py-2 text-sm font-medium text-muted md:short:py-0.5 -outline-offset-2 hover:bg-raised hover:text-ink aria-[current]:bg-accent-soft aria-[current]:text-accent max-md:flex-col max-md:gap-0.5 max-md:px-0.5 max-md:text-[0.6875rem]/3.5';

interface MenuLinkProps {
  screen: ScreenEntry;
  /** The path of the screen that is shown. */
  path: string;
  className: string;
  unread?: number;
}

function MenuLink({ screen, path, className, unread = 0 }: MenuLinkProps) {
  const isCurrent = screen.path === path;
  return (
    <Link
      href={isCurrent ? path : lastAddress(screen.path)}
      aria-current={isCurrent ? 'page' : undefined}
      className={className}
    >
      <Icon name={screen.icon} />
      <span className="max-w-full truncate">{screen.name}</span>
      {unread > 0 && (
        <span className="rounded-full bg-accent px-1.5 text-[0.6875rem]/4 font-semibold text-surface tabular-nums max-md:absolute max-md:start-1/2 max-md:top-0.5 md:ms-auto">
          {count(unread)}
          <span className="sr-only"> unread</span>
        </span>
      )}
    </Link>
  );
}

function Tools() {
  const open = useOpenDialog();
  return (
    <div className="flex gap-1">
      <button
        type="button"
        className="icon-button"
        aria-label="Commands"
        aria-keyshortcuts="Meta+K Control+K"
        onClick={() => open('palette')}
      >
        <Icon name="command" className="size-4.5" />
      </button>
      <button
        type="button"
        className="icon-button"
        aria-label="Settings"
        onClick={() => open('settings')}
      >
        <Icon name="settings" className="size-4.5" />
      </button>
      <button
        type="button"
        className="icon-button max-md:hidden"
        aria-label="Keyboard shortcuts"
        aria-keyshortcuts={useSingleKeys() ? '?' : undefined}
        onClick={() => open('shortcuts')}
      >
        <Icon name="keyboard" className="size-4.5" />
      </button>
    </div>
  );
}
