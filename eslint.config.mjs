import tseslint from 'typescript-eslint';

const node = {
  process: 'readonly',
  console: 'readonly',
  URL: 'readonly',
  Buffer: 'readonly',
  setTimeout: 'readonly',
};

export default tseslint.config(
  { ignores: ['dist/', 'node_modules/', 'test/fixtures/', 'test/output/', 'media/'] },
  ...tseslint.configs.recommended,
  {
    languageOptions: { globals: node },
    rules: {
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      eqeqeq: 'error',
      'prefer-const': 'error',
    },
  },
  {
    // The core runs in a plain Node script: it knows neither VS Code nor native code.
    files: ['src/{checkpoint,graph,architectures,analysis,attention,protocol}/**/*.ts', 'webview/**/*'],
    rules: { 'no-restricted-imports': ['error', { paths: ['vscode', 'onnxruntime-node', 'sharp'] }] },
  },
  {
    files: ['src/inference/**/*.ts', 'src/cli.ts'],
    rules: { 'no-restricted-imports': ['error', { paths: ['vscode'] }] },
  },
  {
    // Native code lives in the child process, so that its crash cannot take the extension host along.
    files: ['src/editor/**/*.ts', 'src/extension.ts'],
    rules: { 'no-restricted-imports': ['error', { paths: ['onnxruntime-node', 'sharp'] }] },
  },
);
