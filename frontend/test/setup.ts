import '@testing-library/jest-dom/vitest';
import { cleanup, configure } from '@testing-library/react';
import { afterEach, vi } from 'vitest';
import '../packages/client/src/sharing/host'; // its import in a test takes no time then
import { FakeMessageChannel } from './fake-message-channel';

afterEach(cleanup);

// The limit only ends a wait that hangs: a busy machine needs many times as long.
configure({ asyncUtilTimeout: 30_000 });

// jsdom has no layout, so no element changes its size.
globalThis.ResizeObserver = class {
  observe = vi.fn();
  unobserve = vi.fn();
  disconnect = vi.fn();
};

Object.assign(globalThis, { MessageChannel: FakeMessageChannel });

// jsdom lays nothing out. These are the heights of a visible part and of a row.
Object.defineProperty(Element.prototype, 'clientHeight', { value: 800 });
Object.defineProperty(HTMLElement.prototype, 'offsetHeight', { value: 40 });

// jsdom does not scroll.
Element.prototype.scrollTo = vi.fn();
