import js from '@eslint/js';
import reactHooks from 'eslint-plugin-react-hooks';
import { defineConfig, globalIgnores } from 'eslint/config';
import tseslint from 'typescript-eslint';

/** Forbids imports whose specifier matches `regex`, and says why. */
const forbid = (...patterns) => ({
  'no-restricted-imports': [
    'error',
    { patterns: patterns.map(([regex, message]) => ({ regex, message })) },
  ],
});

const noReact = ['^(react|react-dom)(/|$)', 'The core of the client works without React.'];
/** Forbids the imports that match `regex` to a folder of the client. */
const clientOnly = (regex) => [
  regex,
  'The client imports nothing of the app, and its folders only those before them: see its index.ts.',
];
const publicOnly = [
  '(^|/)packages/|^@sluice/client/(?!react$)',
  'The app uses the public exports of @sluice/client only.',
];
const sharedOnly = ['^\\.\\./', 'Shared parts import only each other and packages.'];
const sharedFolderOnly = [
  '^\\.\\./(\\.\\./|charts/|feed/)',
  'A folder of shared parts imports only itself, the parts beside it and packages.',
];
const featureOnly = [
  '^\\.\\./(?!\\.\\./components/)',
  'A feature imports only itself and the shared folders, never another feature or the app.',
];

export default defineConfig(
  globalIgnores(['**/dist', 'playwright-report', 'test-results']),
  js.configs.recommended,
  {
    files: ['**/*.{ts,tsx}'],
    extends: [tseslint.configs.strictTypeChecked, tseslint.configs.stylisticTypeChecked],
    languageOptions: {
      parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname },
    },
    rules: {
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_' }],
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      '@typescript-eslint/switch-exhaustiveness-check': 'error',
    },
  },
  {
    files: ['{src,packages}/**/*.{ts,tsx}'],
    extends: [reactHooks.configs.flat['recommended-latest']],
  },
  // The import rules: client → components → features → app, one way only. Tests may import from test/.
  {
    files: ['packages/client/src/*.ts'],
    rules: forbid(noReact, clientOnly('^\\.\\./|/(react|ai-sdk)/')),
  },
  {
    files: ['packages/client/src/connection/**'],
    rules: forbid(noReact, clientOnly('^\\.\\./(?!buffer\\.js)')),
  },
  {
    files: ['packages/client/src/sharing/**'],
    rules: forbid(noReact, clientOnly('^\\.\\./(?!connection/|page\\.js|start-worker\\.js)')),
  },
  {
    files: ['packages/client/src/views/**'],
    rules: forbid(noReact, clientOnly('^\\.\\./(\\.\\.|sharing|react)/')),
  },
  {
    files: ['packages/client/src/ai-sdk/**'],
    rules: forbid(noReact, clientOnly('^\\.\\./(\\.\\.|sharing|react)/')),
  },
  {
    files: ['packages/client/src/react/**'],
    rules: forbid(clientOnly('^\\.\\./(\\.\\.|sharing)/')),
  },
  { files: ['src/**'], rules: forbid(publicOnly) },
  { files: ['src/components/*'], rules: forbid(publicOnly, sharedOnly) },
  { files: ['src/components/*/**'], rules: forbid(publicOnly, sharedFolderOnly) },
  { files: ['src/features/**'], rules: forbid(publicOnly, featureOnly) },
  { files: ['src/**/*.test.{ts,tsx}'], rules: forbid(publicOnly) },
  { files: ['packages/**/*.test.{ts,tsx}'], rules: { 'no-restricted-imports': 'off' } },
);
