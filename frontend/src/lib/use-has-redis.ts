import { useEffect, useState } from 'react';

/** Whether the gateway serves a Redis, rather than its embedded broker; `undefined` until it is known. */
export function useHasRedis(url: string): boolean | undefined {
  const [hasRedis, setHasRedis] = useState<boolean>();

  useEffect(() => {
    const ending = new AbortController();
    fetch(`${url}/stats`, { signal: ending.signal })
      .then((response) => response.json())
      .then(({ redis }: { redis?: boolean }) => setHasRedis(redis))
      .catch(() => undefined); // both ways to publish are shown
    return () => ending.abort();
  }, [url]);

  return hasRedis;
}
