// Bundles the extension, its child process, the command line, the webviews and the tests into
// dist/.
//   node esbuild.mjs [--watch] [--production] [--tests]
import { build, context, transform } from 'esbuild';
import { cp, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { basename, dirname } from 'node:path';

const flags = new Set(process.argv.slice(2));
const production = flags.has('--production');

/** Native modules and the editor itself are resolved where the code runs. */
const external = ['vscode', 'onnxruntime-node', 'onnxruntime-common', 'sharp'];

const shared = {
  bundle: true,
  sourcemap: production ? false : 'linked',
  minify: production,
  logLevel: 'warning',
  legalComments: 'none',
  loader: { '.svg': 'text', '.ttf': 'file' },
};
const host = { ...shared, platform: 'node', format: 'cjs', target: 'node20', external };

/**
 * `import()` becomes `require`: code that is compiled once and kept has no loader for the former,
 * and packages need to be shipped in one form only.
 */
const requireOnly = { supported: { 'dynamic-import': false } };

/** What Node parses: the less the faster. */
const loadedFast = { ...requireOnly, minifyWhitespace: true, minifySyntax: true };

/** A bundle for Node in one file, which loads faster than twenty. */
const wholeFile = {
  ...host,
  ...loadedFast,
  outdir: 'dist',
  entryNames: '[name]',
};

/**
 * Splits bundles for Node at their dynamic imports and at what they share, so that activation
 * parses only what it runs at once, and no code is shipped twice. esbuild splits ES modules alone,
 * and VS Code loads CommonJS: each chunk is turned into it on its way to the disk.
 */
const split = {
  name: 'split',
  setup({ initialOptions, onEnd }) {
    Object.assign(initialOptions, { format: 'esm', splitting: true, write: false });
    if (initialOptions.sourcemap) initialOptions.sourcemap = 'inline';
    onEnd(async ({ outputFiles = [] }) => {
      await Promise.all(outputFiles.map(writeCommonJs));
    });
  },
};

async function writeCommonJs({ path, text }) {
  const { code, map } = await transform(text, {
    format: 'cjs',
    platform: 'node',
    target: host.target,
    sourcefile: path,
    sourcemap: production ? false : 'external',
    minify: production,
    legalComments: 'none',
    ...loadedFast,
  });
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, map ? `${code}//# sourceMappingURL=${basename(path)}.map\n` : code);
  if (map) await writeFile(`${path}.map`, map);
}

/**
 * Writes the chunks that each page needs before it runs, so that its shell asks for them along with
 * the page's own script instead of after it.
 */
const preloads = {
  name: 'preloads',
  setup({ initialOptions, onEnd }) {
    initialOptions.metafile = true;
    onEnd(async ({ metafile }) => {
      if (!metafile) return;
      const pages = Object.entries(metafile.outputs).filter(
        ([path, { entryPoint }]) => entryPoint && !isChunk(path),
      );
      const chunks = pages.map(([path]) => [basename(path, '.js'), chunksOf(metafile.outputs, path)]);
      await writeFile('dist/webview/preloads.json', JSON.stringify(Object.fromEntries(chunks)));
    });
  },
};

const isChunk = (path) => basename(path).startsWith('shared-');

/** Names of the chunks that a file of a page imports, and what those import in turn. */
function chunksOf(outputs, path, found = new Set()) {
  for (const { path: chunk, kind, external } of outputs[path].imports) {
    if (kind !== 'import-statement' || external || found.has(basename(chunk))) continue;
    found.add(basename(chunk));
    chunksOf(outputs, chunk, found);
  }
  return [...found];
}

const page = {
  ...shared,
  platform: 'browser',
  format: 'esm',
  target: 'es2022',
  jsx: 'automatic',
  jsxImportSource: 'preact',
};

const testFolders = [
  'unit',
  'oracles',
  'inference',
  'host',
  'browser',
  'bench',
  'mutate',
  'fuzz',
  'soak',
  'support',
].map((name) => `test/${name}`);
const present = (files) => files.filter((file) => existsSync(file));

function bundles() {
  const list = [
    {
      ...host,
      entryPoints: present(['src/extension.ts', 'src/commands.ts', 'src/understand.ts']),
      outdir: 'dist',
      chunkNames: 'shared-[hash]',
      plugins: [split],
    },
    { ...wholeFile, entryPoints: present(['src/cli.ts', 'src/inference/process.ts']) },
    {
      ...page,
      entryPoints: present([
        'webview/inspector/index.tsx',
        'webview/complexity/index.tsx',
        'webview/image/index.tsx',
        'webview/batch/index.tsx',
        'webview/text/index.tsx',
      ]),
      outdir: 'dist/webview',
      outbase: 'webview',
      entryNames: '[dir]',
      chunkNames: 'shared-[hash]',
      splitting: true,
      plugins: [preloads],
    },
  ];
  if (flags.has('--tests')) {
    list.push({
      ...host,
      entryPoints: present(testFolders).map((folder) => `${folder}/**/*.ts`),
      outdir: 'dist/test',
      outbase: 'test',
      packages: 'external',
    });
  }
  return list.filter((options) => options.entryPoints.length > 0);
}

/**
 * Tests that were deleted or renamed must not run on, and chunks of earlier builds must not be
 * packaged.
 */
if (flags.has('--tests')) await rm('dist/test', { recursive: true, force: true });
await removeChunks('dist');
await removeChunks('dist/webview');

let building = 0;
/**
 * Brackets the builds with the two lines that the problem matcher in .vscode/tasks.json waits for.
 */
const announce = {
  name: 'announce',
  setup({ onStart, onEnd }) {
    onStart(() => {
      if (building++ === 0) console.log('[watch] build started');
    });
    onEnd(({ errors }) => {
      for (const { text, location } of errors) {
        const place = location ? `${location.file}:${location.line}:${location.column}` : 'esbuild.mjs:1:1';
        console.error(`✘ [ERROR] ${text}\n    ${place}:`);
      }
      if (--building === 0) console.log('[watch] build finished');
    });
  },
};

const list = bundles();
if (flags.has('--watch')) {
  for (const options of list) {
    await (
      await context({ ...options, logLevel: 'silent', plugins: [...(options.plugins ?? []), announce] })
    ).watch();
  }
} else {
  const results = await Promise.all(list.map((options) => build({ ...options, metafile: production })));
  if (production) await writeNotices(results.flatMap(({ metafile }) => Object.keys(metafile.inputs)));
}
await copyIcons();

/**
 * The licences of the packages whose code the bundles hold; the packages that are shipped whole
 * bring their own.
 */
async function writeNotices(inputs) {
  const bundled = inputs.flatMap((input) => input.match(/^node_modules\/(?:@[^/]+\/)?[^/]+/) ?? []);
  const folders = [
    ...new Set([...bundled, 'node_modules/@vscode/codicons', 'node_modules/onnxruntime-node']),
  ];
  const notices = await Promise.all(folders.sort().map(readNotice));
  await writeFile('dist/THIRD-PARTY-NOTICES.txt', notices.join('\n\n'));
}

async function readNotice(folder) {
  const { name, version, license, author } = JSON.parse(await readFile(`${folder}/package.json`, 'utf8'));
  const files = (await readdir(folder)).filter((file) => /^(licen[sc]e|notice)/i.test(file));
  const texts = await Promise.all(files.map((file) => readFile(`${folder}/${file}`, 'utf8')));
  const holder = texts.length > 0 ? [] : [`Copyright (c) ${author?.name ?? author ?? name}`];
  return [`===== ${name} ${version} (${license}) =====`, ...holder, ...texts].join('\n\n');
}

async function removeChunks(folder) {
  const files = existsSync(folder) ? await readdir(folder) : [];
  const chunks = files.filter(isChunk);
  await Promise.all(chunks.map((file) => rm(`${folder}/${file}`, { force: true })));
}

async function copyIcons() {
  await mkdir('dist/webview', { recursive: true });
  for (const file of ['codicon.css', 'codicon.ttf']) {
    await cp(`node_modules/@vscode/codicons/dist/${file}`, `dist/webview/${file}`);
  }
}
