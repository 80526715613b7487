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

const restrict = (files, foreign, rooms, more = []) => ({
  files,
  rules: {
    'no-restricted-imports': [
      'error',
      {
        paths: foreign,
        patterns: [...rooms.map((room) => `^(\\.\\./)+(src/)?${room}/`), ...more].map((regex) => ({ regex })),
      },
    ],
  },
});

/**
 * Inside of architectures: blocks know graphs alone, groups are what several families share, and no family knows another. What comes later in
 * the configuration replaces what it says of the same file, so that the step's own restrictions are said again.
 */
const upward = (...rooms) => rooms.map((room) => `^\\.\\./${room}(/|$)`);
const insideArchitectures = [
  [
    'blocks',
    upward('groups', 'families', 'dialects', 'published', 'recognise', 'sources', 'figures', 'family'),
  ],
  ['groups', upward('families', 'recognise')],
  ['dialects', upward('groups', 'families', 'recognise')],
  ['families/!(index)', ['^\\./', ...upward('recognise')]],
];
const later = (room) => steps.slice(steps.findIndex(({ rooms }) => rooms.includes(room)) + 1);

const directions = [
  ...steps.map(({ rooms, foreign }, step) =>
    restrict(
      rooms.map((room) => `src/${room}/**/*.ts`),
      foreign,
      steps.slice(step + 1).flatMap((later) => later.rooms),
    ),
  ),
  ...insideArchitectures.map(([place, more]) =>
    restrict(
      [place.includes('/') ? `src/architectures/${place}.ts` : `src/architectures/${place}/**/*.ts`],
      ['vscode', 'onnxruntime-node', 'sharp'],
      later('architectures').flatMap(({ rooms }) => rooms),
      more,
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
      'no-duplicate-imports': ['error', { allowSeparateTypeImports: true }],
    },
  },
  ...directions,
);
