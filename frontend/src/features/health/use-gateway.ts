import { useEffect, useRef, useState } from 'react';
import { useStreamClient, useStreamStatus } from '@sluice/client/react';
import { addSample, emptyHistory, type GatewayStats } from './gateway';

/** How often the gateway is asked, in milliseconds. */
const INTERVAL = 3_000;

/** How long a replay takes after the connection is open, in milliseconds. */
const SETTLE = 1_000;

/** Asks the gateway how it is, again and again while the page can be seen. */
export function useGateway() {
  const { url } = useStreamClient();
  const { phase } = useStreamStatus().status;
  const settledAt = useRef(Infinity);
  const [history, setHistory] = useState(emptyHistory);
  /** Why the last request has failed. */
  const [problem, setProblem] = useState<string>();

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
        setHistory((history) => addSample(history, sample, since));
        setProblem(undefined);
      } catch (error) {
        if (ending.signal.aborted) return;
        setProblem(error instanceof Error ? error.message : String(error));
      }
    };
    void ask();
    const timer = setInterval(() => void ask(), INTERVAL);
    return () => {
      clearInterval(timer);
      ending.abort();
    };
  }, [url]);

  return { history, problem };
}

async function fetchStats(url: string, signal: AbortSignal): Promise<GatewayStats> {
  const response = await fetch(`${url}/stats`, {
    signal: AbortSignal.any([signal, AbortSignal.timeout(INTERVAL)]),
  });
  if (!response.ok) throw new Error(`the answer to /stats is ${response.status}`);
  return (await response.json()) as GatewayStats;
}
