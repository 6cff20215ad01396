import { execFile } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from './fixtures';

interface Block {
  readonly page: string;
  readonly language: string;
  readonly code: string;
}

const root = resolve(import.meta.dirname, '../..');
const docs = 'backend/docs';
const pages = [
  ...['README.md', 'frontend/packages/client/README.md'],
  ...readdirSync(join(root, docs))
    .filter((name) => name.endsWith('.md'))
    .map((name) => join(docs, name)),
];

/** The code blocks of the documentation. */
const blocks: readonly Block[] = pages.flatMap((page) =>
  [...readFileSync(join(root, page), 'utf8').matchAll(/^```(\w+)\n(.*?)^```/gms)].map(
    ([, language = '', code = '']) => ({ page, language, code }),
  ),
);

/** Declarations of the names that fragments use without an import. */
const known = {
  createStreamClient: "import { createStreamClient } from '@sluice/client';",
  useRun: "import { useRun } from '@sluice/client/react';",
  client: "declare const client: import('@sluice/client').StreamClient;",
  process: 'declare const process: (data: string) => void;',
};

/** A package that is not installed here. */
const aiReact = `declare module '@ai-sdk/react' {
  import type { ChatInit, UIMessage } from 'ai';
  export function useChat(options: ChatInit<UIMessage> & { resume?: boolean }): {
    messages: UIMessage[];
    sendMessage: (message: { text: string }) => Promise<void>;
  };
}`;

test('the examples in TypeScript have the right types', async () => {
  const typed = blocks.filter(({ language }) => /^tsx?$/.test(language));
  expect(typed.length).toBeGreaterThan(8);
  const directory = resolve(import.meta.dirname, '../node_modules/.cache/docs');
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true });
  typed.forEach(({ page, code }, n) => {
    const declarations = Object.entries(known)
      .filter(([name]) => !code.includes('import ') && !code.includes(`const ${name} =`))
      .map(([, declaration]) => declaration);
    const text = [...declarations, code, 'export {};'].join('\n');
    writeFileSync(join(directory, `${basename(page, '.md')}-${n}.tsx`), text);
  });
  writeFileSync(join(directory, 'ai-sdk-react.d.ts'), aiReact);
  const compilerOptions = {
    ...{ strict: true, noEmit: true, skipLibCheck: true, jsx: 'react-jsx', types: [] },
    ...{ target: 'esnext', module: 'esnext', moduleResolution: 'bundler' },
    lib: ['esnext', 'dom', 'dom.iterable'],
    // The sources: the package is built by other tests.
    paths: {
      '@sluice/client': ['../../../packages/client/src/index.ts'],
      '@sluice/client/*': ['../../../packages/client/src/*/index.ts'],
    },
  };
  writeFileSync(
    join(directory, 'tsconfig.json'),
    JSON.stringify({ compilerOptions, include: ['.'] }),
  );
  const compiling = promisify(execFile)('npx', ['tsc', '-p', directory]);
  const { stdout } = await compiling.catch((error: unknown) => error as { stdout: string });
  expect(stdout).toBe('');
});

test.describe('in a page', () => {
  test.use({ expectNetworkErrors: true }); // there is no icon

  test('the scripts for a page open their stream', async ({ page, processes }) => {
    const scripts = blocks.filter(
      ({ language, code }) =>
        language === 'js' &&
        code.includes("new EventSource('http://localhost") &&
        !code.includes('import'),
    );
    expect(scripts.length).toBeGreaterThan(2);
    const gateway = await processes.startGateway({
      flags: ['--allow-subscribe', 'channel:*,stream:*'],
    });
    for (const { page: name, code } of scripts) {
      await page.goto(`${gateway.url}/healthz`);
      const opening = page.waitForResponse(/\/events\?/);
      await page.evaluate(
        `{ ${code.replaceAll('http://localhost:4000', gateway.url)}; window.source = source; }`,
      );
      expect((await opening).status(), name).toBe(200);
      await expect.poll(() => page.evaluate('source.readyState'), name).toBe(1);
    }
  });
});
