/** What `GET /stats` answers. The counters count from the start of the gateway. */
export interface GatewayStats {
  readonly node: string;
  readonly version: string;
  readonly uptime_seconds: number;
  readonly connections: number;
  readonly topics: number;
  readonly events: number;
  readonly deliveries: number;
  readonly gaps: number;
  readonly slow_clients: number;
  readonly memory_bytes: number;
}

export interface Sample {
  readonly stats: GatewayStats;
  /** When it was taken, in milliseconds since the epoch. */
  readonly at: number;
}

/**
 * The rates per second between two samples; `undefined` where they cannot be compared: of two gateways behind one
 * address, or of one that has restarted in between.
 */
export function ratesBetween(before: Sample, after: Sample) {
  const seconds = (after.at - before.at) / 1_000;
  const isSame = before.stats.node === after.stats.node;
  const wentOn = after.stats.uptime_seconds >= before.stats.uptime_seconds;
  if (!isSame || !wentOn || seconds <= 0) return undefined;
  const events = (after.stats.events - before.stats.events) / seconds;
  const deliveries = (after.stats.deliveries - before.stats.deliveries) / seconds;
  return events < 0 || deliveries < 0 ? undefined : { events, deliveries };
}

/** How the gateway was over time, in columns for a chart: seconds since the epoch, events/s, deliveries/s. */
export interface GatewayHistory {
  readonly newest: Sample | undefined;
  readonly rates: ReturnType<typeof ratesBetween>;
  readonly data: readonly [number[], (number | null)[], (number | null)[]];
}

export const emptyHistory: GatewayHistory = {
  newest: undefined,
  rates: undefined,
  data: [[], [], []],
};

/** An hour of samples at one each three seconds. */
const MAX_SAMPLES = 1_200;

/**
 * Adds a sample. The lines break if its rates are not known.
 *
 * @param settledAt - when the page had received the past that it asked for, in milliseconds since the epoch: a
 * replay is not part of the gateway's usual rate
 */
export function addSample(
  { newest, data }: GatewayHistory,
  sample: Sample,
  settledAt: number,
): GatewayHistory {
  const rates = newest && newest.at >= settledAt ? ratesBetween(newest, sample) : undefined;
  const [times, events, deliveries] = data;
  return {
    newest: sample,
    rates,
    data: [
      [...times, sample.at / 1_000].slice(-MAX_SAMPLES),
      [...events, rates?.events ?? null].slice(-MAX_SAMPLES),
      [...deliveries, rates?.deliveries ?? null].slice(-MAX_SAMPLES),
    ],
  };
}
