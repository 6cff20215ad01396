import { useEffect, useRef, useState } from 'react';
import { useStreamClient, useStreamStatus } from '@sluice/client/react';
import { addSample, emptyHistory, type GatewayHistory, type GatewayStats } from './gateway';

/** How often the gateway is asked, in milliseconds. */
const INTERVAL = 3_000;

/** How long a replay takes after the connection is open, in milliseconds. */
const SETTLE = 1_000;

/** The state of the gateway. */
export interface GatewayHealth {
  readonly history: GatewayHistory;
  /** Why the last question had no answer; `undefined` where it had one. */
  readonly problem: string | undefined;
}

/** Asks the gateway how it is, again and again while the page can be seen. */
export function useGateway(): GatewayHealth {
  const { url } = useStreamClient();
  const { phase } = useStreamStatus().status;
  const settledAt = useRef(Infinity);
  const [health, setHealth] = useState<GatewayHealth>({
    history: emptyHistory,
    problem: undefined,
  });

  useEffect(() => {
    settledAt.current = Date.now() + SETTLE;
  }, [phase]);

  useEffect(() => {
    const ending = new AbortController();
    const ask = async () => {
      if (document.visibilityState === 'hidden') return;
      try {
        const stats = await fetchStats(url, ending.signal);
        const sample = { stats, at: Date.now() };
        const since = settledAt.current;
        setHealth(({ history }) => ({
          history: addSample(history, sample, since),
          problem: undefined,
        }));
      } catch (error) {
        if (ending.signal.aborted) return;
        const problem = error instanceof Error ? error.message : String(error);
        setHealth(({ history }) => ({ history, problem }));
      }
    };
    void ask();
    const timer = setInterval(() => void ask(), INTERVAL);
    return () => {
      clearInterval(timer);
      ending.abort();
    };
  }, [url]);

  return health;
}

async function fetchStats(url: string, signal: AbortSignal): Promise<GatewayStats> {
  const response = await fetch(`${url}/stats`, {
    signal: AbortSignal.any([signal, AbortSignal.timeout(INTERVAL)]),
  });
  if (!response.ok) throw new Error(`the answer to /stats is ${response.status}`);
  return (await response.json()) as GatewayStats;
}
