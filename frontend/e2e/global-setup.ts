import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'vite';

/**
 * Builds what the tests drive: the app, the package of the client, and the gateway unless `SLUICE_SERVER` names a
 * binary. It packs once: two tests that pack at the same time would each delete what the other has built.
 */
export default async function globalSetup(): Promise<() => void> {
  await build({ logLevel: 'warn' });
  const directory = mkdtempSync(join(tmpdir(), 'sluice-e2e-'));
  execFileSync(
    'npm',
    ['pack', '--silent', '-w', '@sluice/client', '--pack-destination', directory],
    {
      cwd: join(import.meta.dirname, '..'),
    },
  );
  const [packed = ''] = readdirSync(directory);
  process.env.SLUICE_CLIENT_PACKAGE = join(directory, packed);
  if (!process.env.SLUICE_SERVER) {
    const binary = join(directory, 'server');
    execFileSync('go', ['build', '-o', binary, './cmd/server'], {
      cwd: join(import.meta.dirname, '../../backend'),
      stdio: 'inherit',
    });
    process.env.SLUICE_SERVER = binary;
  }
  return () => rmSync(directory, { recursive: true });
}
