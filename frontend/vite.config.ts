import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { brotliCompress, constants, gzip } from 'node:zlib';
import tailwindcss from '@tailwindcss/vite';
import react from '@vitejs/plugin-react';
import type { Plugin } from 'vite';
import { defineConfig } from 'vitest/config';

/** Files below this size, in bytes, are not compressed: they fit into one packet as they are. */
const MIN_COMPRESSED = 1_000;

/**
 * Compresses the text files of a build. The gateway serves `app.js.br` or `app.js.gz` in place of
 * `app.js` to clients that accept the encoding.
 */
function compress(): Plugin {
  const encoders = {
    '.br': (content: Buffer) =>
      promisify(brotliCompress)(content, {
        params: { [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY },
      }),
    '.gz': (content: Buffer) => promisify(gzip)(content, { level: 9 }),
  };
  return {
    name: 'sluice:compress',
    apply: 'build',
    async writeBundle({ dir = 'dist' }) {
      const names = await readdir(dir, { recursive: true });
      for (const name of names.filter((name) => /\.(html|js|css|svg|json)$/.test(name))) {
        const file = join(dir, name);
        const content = await readFile(file);
        if (content.length < MIN_COMPRESSED) continue;
        for (const [extension, encode] of Object.entries(encoders)) {
          await writeFile(file + extension, await encode(content));
        }
      }
    },
  };
}

/**
 * Writes the origin of `VITE_API_URL` into a file of the build. The gateway that serves the build reads
 * it at its start, and its Content-Security-Policy then allows connections to that origin.
 */
function apiOrigin(): Plugin {
  let url = '';
  return {
    name: 'sluice:api-origin',
    apply: 'build',
    configResolved({ env }) {
      url = String(env.VITE_API_URL ?? '');
    },
    generateBundle() {
      if (!/^https?:/i.test(url)) return;
      const source = `${new URL(url).origin}\n`;
      this.emitFile({ type: 'asset', fileName: 'api-origin.txt', source });
    },
  };
}

const source = (path: string) => join(import.meta.dirname, 'packages/client/src', path);

export default defineConfig({
  // Relative URLs, so that a proxy can serve the app below any path.
  base: './',
  // The package's source, so that the app needs no build of it and reloads with it.
  resolve: {
    alias: [
      { find: /^@sluice\/client$/, replacement: source('index.ts') },
      { find: /^@sluice\/client\/react$/, replacement: source('react/index.ts') },
    ],
  },
  plugins: [react(), tailwindcss(), apiOrigin(), compress()],
  build: {
    rolldownOptions: {
      output: {
        codeSplitting: {
          // Each file has headers and compresses alone, and costs a slow device milliseconds, so all modules that
          // every page needs are one file, and small modules that several screens need are another.
          groups: [
            { name: 'initial', tags: ['$initial'], priority: 1 },
            { name: 'shared', test: /\/src\/(views|react|feed|lib|ui)\//, minShareCount: 3 },
          ],
        },
      },
    },
  },
  server: {
    port: 5173,
    // The gateway's CORS settings and the README name this port: better to fail than to move to another.
    strictPort: true,
  },
  test: {
    // A machine that is busy with other things is no reason to fail.
    testTimeout: 60_000,
    projects: [
      {
        extends: true,
        test: {
          name: 'core',
          environment: 'node',
          include: ['{src,packages/client/src}/**/*.test.ts'],
        },
      },
      {
        extends: true,
        test: {
          name: 'components',
          environment: 'jsdom',
          include: ['{src,packages/client/src}/**/*.test.tsx'],
          setupFiles: ['test/setup.ts'],
        },
      },
    ],
  },
});
