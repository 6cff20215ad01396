import { vi } from 'vitest';

/** Waits until a check passes. The limit only ends a wait that hangs: a busy machine is slow. */
export const eventually = <T>(check: () => T | Promise<T>) => vi.waitFor(check, 30_000);
