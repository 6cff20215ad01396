/** A sample of a machine, as the demo feed sends it. Sizes are in bytes, rates per second, shares in percent. */
export const exampleSample = {
  time: '',
  cpu_percent: 12.5,
  memory: { used_bytes: 4e9, total_bytes: 16e9, used_percent: 25 },
  /** Over 1, 5 and 15 minutes. */
  load: [0.5, 0.4, 0.3] as [number, number, number],
  disk: {
    ...{ used_bytes: 1e11, total_bytes: 5e11, used_percent: 20 },
    ...{ read_bytes_per_second: 0, written_bytes_per_second: 4096 },
  },
  network: { received_bytes_per_second: 2048, sent_bytes_per_second: 1024 },
};

export type Machine = typeof exampleSample;

/** Accepts what has the shape of a {@link Machine}; names the first field that has not. */
export const machineSchema = {
  '~standard': {
    version: 1,
    vendor: 'sluice',
    validate: (value: unknown) => {
      const missing = missingNumber(value, exampleSample);
      return missing
        ? { issues: [{ message: `no number at ${missing.join('.')}` }] }
        : { value: value as Machine };
    },
  },
} as const;

/** The path of the first number of the example that the value does not have. */
function missingNumber(value: unknown, example: unknown): string[] | undefined {
  if (typeof example === 'number') return typeof value === 'number' ? undefined : [];
  if (typeof example !== 'object') return undefined;
  for (const [name, part] of Object.entries({ ...example })) {
    const field = (value as Readonly<Record<string, unknown>> | null | undefined)?.[name];
    const path = missingNumber(field, part);
    if (path) return [name, ...path];
  }
  return undefined;
}

/** The charted values of a sample, by the names of the lines. */
export function chartedFigures({ cpu_percent, memory, load, disk, network }: Machine) {
  return {
    cpu: cpu_percent,
    memory: memory.used_percent,
    load1: load[0],
    load5: load[1],
    load15: load[2],
    diskRead: disk.read_bytes_per_second,
    diskWritten: disk.written_bytes_per_second,
    networkReceived: network.received_bytes_per_second,
    networkSent: network.sent_bytes_per_second,
  };
}
