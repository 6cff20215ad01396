// @vitest-environment jsdom
import { afterEach, expect, it, vi } from 'vitest';
import { createStreamClient } from '@sluice/client';
import { changeToken, token } from './token';

const client = createStreamClient('http://localhost:4000');

afterEach(() => {
  vi.restoreAllMocks();
});

it.each([false, true])('keeps the token, with blocked site data: %s', (isBlocked) => {
  if (isBlocked) {
    vi.spyOn(window, 'sessionStorage', 'get').mockImplementation(() => {
      throw new DOMException('denied', 'SecurityError');
    });
  }
  changeToken(client, 'secret');
  expect(token()).toBe('secret');
  changeToken(client, '');
  expect(token()).toBeUndefined();
});
