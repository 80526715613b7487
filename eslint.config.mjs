import tseslint from 'typescript-eslint';

const node = {
  process: 'readonly',
  console: 'readonly',
  URL: 'readonly',
  Buffer: 'readonly',
  setTimeout: 'readonly',
};

/**
 * Rooms in the order in which imports may point: each may import from those before it (and those of its own step).
 * The core runs in a plain Node script, so it knows neither VS Code nor native code; native code lives in the child process, so that
 * its crash cannot take the extension host along.
 */
const steps = [
  { rooms: ['protocol', 'checkpoint'], foreign: ['vscode', 'onnxruntime-node', 'sharp'] },
  { rooms: ['graph'], foreign: ['vscode', 'onnxruntime-node', 'sharp'] },
  { rooms: ['architectures'], foreign: ['vscode', 'onnxruntime-node', 'sharp'] },
  { rooms: ['analysis', 'attention'], foreign: ['vscode', 'onnxruntime-node', 'sharp'] },
  { rooms: ['inference'], foreign: ['vscode'] },
  { rooms: ['commandLine'], foreign: ['vscode'] },
  { rooms: ['editor'], foreign: ['onnxruntime-node', 'sharp'] },
];

const restrict = (files, foreign, rooms) => ({
  files,
  rules: {
    'no-restricted-imports': [
      'error',
      { paths: foreign, patterns: rooms.map((room) => ({ regex: `^(\\.\\./)+(src/)?${room}/` })) },
    ],
  },
});

const directions = [
  ...steps.map(({ rooms, foreign }, step) =>
    restrict(
      rooms.map((room) => `src/${room}/**/*.ts`),
      foreign,
      steps.slice(step + 1).flatMap((later) => later.rooms),
    ),
  ),
  restrict(['src/cli.ts'], ['vscode'], ['editor']),
  restrict(['src/extension.ts'], ['onnxruntime-node', 'sharp'], ['commandLine']),
  // Pages import what they share with the host, and pure functions over attention maps.
  restrict(
    ['webview/**/*'],
    ['vscode', 'onnxruntime-node', 'sharp'],
    ['checkpoint', 'graph', 'architectures', 'analysis', 'inference', 'commandLine', 'editor'],
  ),
];

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
  ...directions,
);
