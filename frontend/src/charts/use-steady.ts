import { useEffect, useEffectEvent, useState } from 'react';

/** A value that changes often, renewed each `interval` milliseconds: slowly enough to be read. */
export function useSteady<T extends object>(value: T, interval: number): T {
  const [shown, setShown] = useState(value);
  const renew = useEffectEvent(() => setShown(value));
  useEffect(() => {
    const timer = setInterval(() => renew(), interval);
    return () => clearInterval(timer);
  }, [interval]);
  return shown;
}
