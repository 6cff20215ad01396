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
/** Forbids the imports of all but some folders of the app. */
const foldersOnly = (...folders) => [
  `^\\.\\./(?!(\\.\\./)?(${folders.join('|')})/)`,
  'Folders of the app import one way only: lib → ui → charts, feed → features → shell.',
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
  // The import rules: client → lib → ui → charts, feed → features → shell, one way only. Tests may import from test/.
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
  { files: ['src/lib/**'], rules: forbid(publicOnly, foldersOnly()) },
  { files: ['src/ui/**'], rules: forbid(publicOnly, foldersOnly('lib')) },
  { files: ['src/{charts,feed}/**'], rules: forbid(publicOnly, foldersOnly('lib', 'ui')) },
  {
    files: ['src/features/**'],
    rules: forbid(publicOnly, foldersOnly('lib', 'ui', 'charts', 'feed')),
  },
  { files: ['src/**/*.test.{ts,tsx}'], rules: forbid(publicOnly) },
  { files: ['packages/**/*.test.{ts,tsx}'], rules: { 'no-restricted-imports': 'off' } },
);
