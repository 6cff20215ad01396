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

const noReact = ['^(react|react-dom)(/|$)', 'The stream core works without React.'];
/** Forbids what matches `regex` to a part of the stream core. */
const streamOnly = (regex) => [
  regex,
  'src/stream stands alone, and its folders know only those before them: see its index.ts.',
];
const sharedOnly = ['^\\.\\./(?!stream/)', 'Shared parts import only each other and src/stream.'];
const sharedFolderOnly = [
  '^\\.\\./(\\.\\./(?!stream/)|charts/|feed/)',
  'A folder of shared parts imports only itself, the parts beside it and src/stream.',
];
const featureOnly = [
  '^\\.\\./(?!\\.\\./(stream|components)/)',
  'A feature imports only itself and the shared folders, never another feature or the app.',
];

export default defineConfig(
  globalIgnores(['dist', 'playwright-report', 'test-results']),
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
    files: ['src/**/*.{ts,tsx}'],
    extends: [reactHooks.configs.flat['recommended-latest']],
  },
  // The import rules: stream → components → features → app, one way only. Tests may reach for test/.
  { files: ['src/stream/*.ts'], rules: forbid(noReact, streamOnly('^(\\.\\.|\\./react)/')) },
  { files: ['src/stream/line/**'], rules: forbid(noReact, streamOnly('^\\.\\./')) },
  {
    files: ['src/stream/tabs/**'],
    rules: forbid(noReact, streamOnly('^\\.\\./(?!line/|buffer$)')),
  },
  {
    files: ['src/stream/views/**'],
    rules: forbid(noReact, streamOnly('^\\.\\./(\\.\\.|tabs|react)/')),
  },
  { files: ['src/stream/react/**'], rules: forbid(streamOnly('^\\.\\./(\\.\\.|tabs)/')) },
  { files: ['src/components/*'], rules: forbid(sharedOnly) },
  { files: ['src/components/*/**'], rules: forbid(sharedFolderOnly) },
  { files: ['src/features/**'], rules: forbid(featureOnly) },
  { files: ['src/**/*.test.{ts,tsx}'], rules: { 'no-restricted-imports': 'off' } },
);
