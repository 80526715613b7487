import tseslint from 'typescript-eslint';

const node = {
  process: 'readonly',
  console: 'readonly',
  URL: 'readonly',
  Buffer: 'readonly',
  setTimeout: 'readonly',
};

const native = ['vscode', 'onnxruntime-node', 'sharp'];

/**
 * Rooms in the order in which imports may point: each may import from those before it (and those of
 * its own step). The core runs in a plain Node script, so it knows neither VS Code nor native code;
 * native code lives in the child process, so that its crash cannot take the extension host along.
 */
const steps = [
  { rooms: ['domain'], foreign: native },
  { rooms: ['checkpoint'], foreign: native },
  { rooms: ['graph'], foreign: native },
  { rooms: ['preprocessing', 'labels', 'text'], foreign: native },
  { rooms: ['architectures'], foreign: native },
  { rooms: ['models'], foreign: native },
  { rooms: ['tasks'], foreign: native },
  { rooms: ['protocol'], foreign: native },
  { rooms: ['analysis', 'attention'], foreign: native },
  { rooms: ['explain'], foreign: native },
  { rooms: ['inference'], foreign: ['vscode'] },
  { rooms: ['useCases'], foreign: native },
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
 * Inside of architectures: what holds for all comes first, then blocks and heads, which know graphs
 * alone, groups, which several architectures share, and libraries, the names that several share. No
 * architecture knows another; the registry and recognition know them all. What comes later in the
 * configuration replaces what it says of the same file, so that the step's own restrictions are
 * said again.
 */
const shared = ['blocks', 'heads', 'groups', 'libraries', 'published'];
const upward = (...rooms) => rooms.map((room) => `^\\.\\./${room}(/|$)`);
const knowsAll = ['recognise', 'registry', 'index'];
const insideArchitectures = [
  [
    'blocks/**/*',
    upward(
      ...knowsAll,
      ...['heads', 'groups', 'libraries', 'published', 'dialect', 'sources', 'figures', 'family'],
    ),
  ],
  [
    'heads/**/*',
    upward(...knowsAll, ...['groups', 'libraries', 'published', 'dialect', 'sources', 'figures', 'family']),
  ],
  ['groups/**/*', upward(...knowsAll)],
  ['libraries/**/*', upward(...knowsAll)],
  ['published/!(make*)', upward(...knowsAll)],
  [
    `!(${[...shared, 'recognise'].join('|')})/**/*`,
    [`^\\.\\./(?!(?:${shared.join('|')})/)\\w+/`, ...upward(...knowsAll)],
  ],
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
      [`src/architectures/${place}.ts`],
      native,
      later('architectures').flatMap(({ rooms }) => rooms),
      more,
    ),
  ),
  restrict(['src/cli.ts', 'src/commands.ts'], ['vscode'], ['editor']),
  restrict(['src/extension.ts'], ['onnxruntime-node', 'sharp'], ['commandLine']),
  // Pages import what they share with the host, and pure functions over attention maps.
  restrict(
    ['webview/**/*'],
    ['vscode', 'onnxruntime-node', 'sharp'],
    [
      'checkpoint',
      'graph',
      'architectures',
      'models',
      'analysis',
      'inference',
      'useCases',
      'commandLine',
      'editor',
    ],
  ),
];

/** Columns that a comment may take: a page of documentation is read at this width. */
const commentColumns = 100;

/**
 * Reports lines that begin with a comment and are too long. A link that would not fit may stand
 * alone.
 */
const commentWidth = {
  meta: {
    type: 'layout',
    schema: [],
    messages: { long: 'A comment of {{ found }} columns; {{ most }} fit.' },
  },
  create: (context) => ({
    Program() {
      for (const { loc } of context.sourceCode.getAllComments()) {
        for (let line = loc.start.line; line <= loc.end.line; line++) {
          const text = context.sourceCode.lines[line - 1];
          const found = [...text].length;
          const isOwnLine = line > loc.start.line || text.slice(0, loc.start.column).trim() === '';
          if (found <= commentColumns || !isOwnLine || /^[\s*/]*\S*:\/\/\S+$/.test(text)) continue;
          const place = { start: { line, column: commentColumns }, end: { line, column: text.length } };
          context.report({ loc: place, messageId: 'long', data: { found, most: commentColumns } });
        }
      }
    },
  }),
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
      'no-duplicate-imports': ['error', { allowSeparateTypeImports: true }],
    },
  },
  {
    // Neither is seen in a test of a few items: both fail in the file, or after the hours, that
    // somebody has.
    files: ['src/**/*.ts', 'webview/**/*.{ts,tsx}'],
    rules: {
      'no-restricted-syntax': [
        'error',
        {
          selector:
            'CallExpression[callee.property.name=/^(push|unshift|splice|concat|assign|of|max|min|hypot|fromCharCode|fromCodePoint)$/] > SpreadElement',
          message:
            'A list as long as a file makes it overflows the stack: pushAll, largest and smallest of domain/lists take any length.',
        },
        {
          selector: 'MemberExpression[object.name="AbortSignal"][property.name="any"]',
          message: 'Its sources keep every signal made of them: withAnySignal of domain/aborting does not.',
        },
      ],
    },
  },
  {
    // What only types tell: each of the three projects is checked by its own tsconfig.json.
    files: ['src/**/*.ts', 'webview/**/*.{ts,tsx}', 'test/**/*.{ts,tsx}'],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': 'error',
    },
  },
  {
    files: ['src/**/*.ts', 'webview/**/*.{ts,tsx}', 'test/**/*.{ts,tsx,mjs}', '*.mjs'],
    plugins: { house: { rules: { 'comment-width': commentWidth } } },
    rules: { 'house/comment-width': 'error' },
  },
  ...directions,
);
