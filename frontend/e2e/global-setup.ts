import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'vite';

/** Builds what the tests drive: the app, and the gateway unless `SLUICE_SERVER` names a binary. */
export default async function globalSetup(): Promise<() => void> {
  await build({ logLevel: 'warn' });
  if (process.env.SLUICE_SERVER) return () => undefined;

  const directory = mkdtempSync(join(tmpdir(), 'sluice-e2e-'));
  const binary = join(directory, 'server');
  execFileSync('go', ['build', '-o', binary, './cmd/server'], {
    cwd: join(import.meta.dirname, '../../backend'),
    stdio: 'inherit',
  });
  process.env.SLUICE_SERVER = binary;
  return () => rmSync(directory, { recursive: true });
}
