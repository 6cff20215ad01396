import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { build } from 'vite';
import { expect, test } from './fixtures';

const run = promisify(execFile);
const frontend = join(import.meta.dirname, '..');
const source = join(frontend, 'packages/client');

let directory: string;
const tarball = process.env.SLUICE_CLIENT_PACKAGE ?? '';

test.describe.configure({ mode: 'default' });

test.beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'sluice-package-'));
});

test.afterAll(() => rm(directory, { recursive: true }));

/** Writes an empty app with the tarball as its dependency. */
async function installApp(name: string): Promise<string> {
  const app = join(directory, name);
  await mkdir(app);
  await writeFile(join(app, 'package.json'), '{"private": true, "type": "module"}');
  await run('npm', ['install', '--offline', '--no-audit', '--no-fund', tarball], {
    ...{ cwd: app, timeout: 120_000 },
  });
  await writeFile(
    join(app, 'index.html'),
    '<!doctype html><ol></ol><script type="module" src="main.js"></script>',
  );
  await writeFile(
    join(app, 'main.js'),
    `import { createStreamClient } from '@sluice/client';
     createStreamClient('/').subscribe(['channel:updates'], {}, {
       onEntry: ({ data }) => document.querySelector('ol').append(data),
       onState: ({ status }) => { document.body.dataset.phase = status.phase; },
     });`,
  );
  return app;
}

test('its tarball works in an app that Vite has built', async ({ browser, context, processes }) => {
  test.slow(); // installs and builds an app
  const app = await installApp('vite');
  await build({ root: app, logLevel: 'warn', configFile: false });
  const gateway = await processes.startGateway({ webDir: join(app, 'dist') });
  const page = await context.newPage(); // the console reports that there is no icon
  await page.goto(gateway.url);
  await expect(page.locator('[data-phase="live"]')).toBeAttached();
  await gateway.publish('updates', 'to the tarball');
  await expect(page.locator('ol')).toHaveText('to the tarball');
  const session = await browser.newBrowserCDPSession();
  const { targetInfos } = await session.send('Target.getTargets');
  expect(targetInfos.filter(({ type }) => type === 'shared_worker')).toHaveLength(1);
});

test('its exports and types are right', async () => {
  await run('npx', ['publint', '--strict', tarball], { cwd: frontend });
  const profile = ['--profile', 'esm-only', '--exclude-entrypoints', './worker.js'];
  await run('npx', ['attw', tarball, ...profile], { cwd: frontend });
});

for (const [name, code, budget] of [
  ['core', `export * from '@sluice/client';`, 9_000],
  [
    'core with the hooks',
    `export * from '@sluice/client'; export * from '@sluice/client/react';`,
    11_000,
  ],
] as const) {
  test(`the ${name} has at most ${budget} bytes`, async () => {
    const app = join(directory, name.replaceAll(' ', '-'));
    await mkdir(join(app, 'node_modules/@sluice'), { recursive: true });
    await symlink(source, join(app, 'node_modules/@sluice/client'));
    await writeFile(join(app, 'entry.js'), code);
    await build({
      root: app,
      logLevel: 'warn',
      configFile: false,
      build: {
        rolldownOptions: {
          input: 'entry.js',
          external: ['react'],
          preserveEntrySignatures: 'strict',
          output: { entryFileNames: 'entry.js' },
        },
      },
    });
    const size = gzipSync(await readFile(join(app, 'dist/entry.js'), 'utf8'), { level: 9 }).length;
    console.log(`${name}: ${size} bytes gzipped`);
    expect(size).toBeLessThan(budget);
  });
}
