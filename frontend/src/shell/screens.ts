import { type ComponentType, lazy, type LazyExoticComponent } from 'react';
import type { ScreenProps } from '../ui/screen-props';
import type { IconName } from './Icon';

export interface ScreenEntry {
  readonly path: string;
  readonly name: string;
  readonly icon: IconName;
  /** The topics if the address names none. An empty list means the default topics of the gateway. */
  readonly topics: readonly string[];
  readonly load: () => Promise<{ default: ComponentType<ScreenProps> }>;
  readonly Component: LazyExoticComponent<ComponentType<ScreenProps>>;
}

/** A screen whose name and path follow from the name of its icon. */
function screen(icon: IconName, topics: readonly string[], load: ScreenEntry['load']): ScreenEntry {
  const name = icon.charAt(0).toUpperCase() + icon.slice(1);
  const path = icon === 'live' ? '/' : `/${icon}`;
  return { path, name, icon, topics, load, Component: lazy(load) };
}

/** All screens, in the order of the menu. The code of each is loaded when it is opened. */
export const screens: readonly ScreenEntry[] = [
  screen('live', [], () => import('../features/live/Live')),
  screen('analytics', ['channel:analytics'], () => import('../features/analytics/Analytics')),
  screen('logs', ['stream:logs'], () => import('../features/logs/Logs')),
  screen(
    'notifications',
    ['stream:notifications'],
    () => import('../features/notifications/Notifications'),
  ),
  screen('prices', ['key:price:*'], () => import('../features/prices/Prices')),
  screen('health', ['channel:metrics'], () => import('../features/health/Health')),
  screen('runs', ['key:run:latest'], () => import('../features/runs/Runs')),
  screen('explorer', [], () => import('../features/explorer/Explorer')),
];

export const screenAt = (path: string) => screens.find((screen) => screen.path === path);
