import { type ComponentType, lazy, type LazyExoticComponent } from 'react';
import type { ScreenProps } from '../ui/screen-props';
import type { IconName } from './Icon';

/** A screen of the app. */
export interface ScreenEntry {
  readonly path: string;
  readonly name: string;
  readonly icon: IconName;
  /** The topics if the address names none. An empty list means the default topics of the gateway. */
  readonly topics: readonly string[];
  readonly Component: LazyExoticComponent<ComponentType<ScreenProps>>;
}

/** All screens, in the order of the menu. The code of each is loaded when it is opened. */
export const screens: readonly ScreenEntry[] = [
  {
    path: '/',
    name: 'Live',
    icon: 'live',
    topics: [],
    Component: lazy(() => import('../features/live/Live')),
  },
  {
    path: '/analytics',
    name: 'Analytics',
    icon: 'analytics',
    topics: ['channel:analytics'],
    Component: lazy(() => import('../features/analytics/Analytics')),
  },
  {
    path: '/logs',
    name: 'Logs',
    icon: 'logs',
    topics: ['stream:logs'],
    Component: lazy(() => import('../features/logs/Logs')),
  },
  {
    path: '/notifications',
    name: 'Notifications',
    icon: 'notifications',
    topics: ['stream:notifications'],
    Component: lazy(() => import('../features/notifications/Notifications')),
  },
  {
    path: '/prices',
    name: 'Prices',
    icon: 'prices',
    topics: ['key:price:*'],
    Component: lazy(() => import('../features/prices/Prices')),
  },
  {
    path: '/health',
    name: 'Health',
    icon: 'health',
    topics: ['channel:metrics'],
    Component: lazy(() => import('../features/health/Health')),
  },
  {
    path: '/runs',
    name: 'Runs',
    icon: 'runs',
    topics: ['key:run:latest'],
    Component: lazy(() => import('../features/runs/Runs')),
  },
  {
    path: '/explorer',
    name: 'Explorer',
    icon: 'explorer',
    topics: [],
    Component: lazy(() => import('../features/explorer/Explorer')),
  },
];
