import { defineConfig } from '@playwright/test';

export default defineConfig({
  testDir: 'e2e',
  globalSetup: './e2e/global-setup.ts',
  // Only the first are tests; the others are for people to look at what they print or draw.
  projects: [
    { name: 'e2e', testMatch: '*.spec.ts' },
    { name: 'bench', testMatch: '*.bench.ts', workers: 1 },
    { name: 'screenshots', testMatch: '*.shots.ts' },
  ],
  fullyParallel: true,
  // More than two cores need: a part of the tests waits most of the time.
  workers: 3,
  forbidOnly: !!process.env.CI,
  reporter: 'list',
  // Tests wait for events; the limits only end one that hangs. A busy machine needs many times as long.
  timeout: 300_000,
  expect: { timeout: 60_000 },
  use: {
    // A trace of each test takes a third of the time: --trace retain-on-failure.
    screenshot: 'only-on-failure',
    launchOptions: {
      executablePath: process.env.CHROMIUM_PATH ?? '/usr/bin/chromium',
      args: [
        '--no-sandbox',
        '--disable-gpu',
        '--disable-quic',
        '--no-first-run',
        '--disable-background-networking',
        '--disable-component-update',
        '--disable-sync',
        // A host that is not localhost: Chromium treats its pages as insecure and asks it for gzip, not Brotli.
        '--host-resolver-rules=MAP sluice.test 127.0.0.1',
      ],
    },
  },
});
