import { createHmac } from 'node:crypto';

/** The secret that a test's gateway is given. */
export const secret = 'a secret of the test, and long enough for HS256';

/** A token that allows to follow some topics, for `lifetime` seconds. */
export function tokenFor(subscribe: readonly string[], lifetime = 3_600): string {
  const encode = (part: unknown) => Buffer.from(JSON.stringify(part)).toString('base64url');
  const exp = Math.floor(Date.now() / 1_000) + lifetime;
  const signed = `${encode({ alg: 'HS256', typ: 'JWT' })}.${encode({ exp, sluice: { subscribe } })}`;
  return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`;
}
