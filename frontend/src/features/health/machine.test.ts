import { expect, it } from 'vitest';
import { chartedFigures, type Machine, machineSchema } from './machine';

const machine: Machine = {
  time: '2026-01-01T00:00:00.000Z',
  cpu_percent: 12.5,
  memory: { used_bytes: 1, total_bytes: 2, used_percent: 50 },
  load: [1, 2, 3],
  disk: {
    ...{ used_bytes: 1, total_bytes: 2, used_percent: 50 },
    ...{ read_bytes_per_second: 4, written_bytes_per_second: 5 },
  },
  network: { received_bytes_per_second: 6, sent_bytes_per_second: 7 },
};

const validate = machineSchema['~standard'].validate;

it('reads a complete sample', () => {
  expect(validate(machine)).toEqual({ value: machine });
  expect(Object.values(chartedFigures(machine))).toEqual([12.5, 50, 1, 2, 3, 4, 5, 6, 7]);
});

it.each([
  [null, 'cpu_percent'],
  [[], 'cpu_percent'],
  [{ ...machine, cpu_percent: '12' }, 'cpu_percent'],
  [{ ...machine, load: [1, 2] }, 'load.2'],
  [{ ...machine, network: null }, 'network.received_bytes_per_second'],
])('says what is missing in %j', (value, field) => {
  expect(validate(value)).toEqual({ issues: [{ message: `no number at ${field}` }] });
});
