// Bundles the extension, its child process, the command line, the webviews and the tests into dist/.
//   node esbuild.mjs [--watch] [--production] [--tests]
import { build, context } from 'esbuild';
import { cp, rm } from 'node:fs/promises';
import { existsSync } from 'node:fs';

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
const page = {
  ...shared,
  platform: 'browser',
  format: 'esm',
  target: 'es2022',
  jsx: 'automatic',
  jsxImportSource: 'preact',
};

const present = (files) => files.filter((file) => existsSync(file));

function bundles() {
  const list = [
    {
      ...host,
      entryPoints: present(['src/extension.ts', 'src/cli.ts', 'src/inference/process.ts']),
      outdir: 'dist',
      outbase: 'src',
      entryNames: '[name]',
    },
    {
      ...page,
      entryPoints: present([
        'webview/inspector/index.tsx',
        'webview/complexity/index.tsx',
        'webview/attention/index.tsx',
        'webview/batch/index.tsx',
      ]),
      outdir: 'dist/webview',
      outbase: 'webview',
      entryNames: '[dir]',
    },
  ];
  if (flags.has('--tests')) {
    list.push({
      ...host,
      entryPoints: ['unit', 'inference', 'host', 'browser', 'bench'].map(
        (folder) => `test/${folder}/**/*.ts`,
      ),
      outdir: 'dist/test',
      outbase: 'test',
      packages: 'external',
    });
  }
  return list.filter((options) => options.entryPoints.length > 0);
}

if (!flags.has('--watch')) await rm('dist', { recursive: true, force: true });
const list = bundles();
if (flags.has('--watch')) {
  for (const options of list) await (await context(options)).watch();
  console.log('watching');
} else {
  await Promise.all(list.map((options) => build(options)));
}
if (existsSync('node_modules/@vscode/codicons/dist')) {
  await cp('node_modules/@vscode/codicons/dist/codicon.css', 'dist/webview/codicon.css');
  await cp('node_modules/@vscode/codicons/dist/codicon.ttf', 'dist/webview/codicon.ttf');
}
