// npm run package [-- --target linux-x64]: the extension with the native modules of one platform,
// as a .vsix file.
import { existsSync } from 'node:fs';
import { appendFile, copyFile, mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { deflateHarder } from './deflate.mjs';
import { capture, run } from './processes.mjs';

/**
 * The platforms of VS Code's marketplace: where their native modules lie, if there are any. Without
 * the runtime the extension still inspects, and says why it does not run.
 *
 * @type {Readonly<Record<string, {runtime?: string, decoder?: string}>>}
 */
const targets = {
  'linux-x64': { runtime: 'linux/x64', decoder: 'linux-x64' },
  'linux-arm64': { runtime: 'linux/arm64', decoder: 'linux-arm64' },
  'darwin-arm64': { runtime: 'darwin/arm64', decoder: 'darwin-arm64' },
  'win32-x64': { runtime: 'win32/x64', decoder: 'win32-x64' },
  'win32-arm64': { runtime: 'win32/arm64', decoder: 'win32-arm64' },
  'darwin-x64': {},
  'alpine-x64': {},
  'alpine-arm64': {},
};

/** Megabytes (decimal) that a package may take; the runtime and the decoder take 24.9. */
const limits = { 'linux-x64': 32 };

const { values } = parseArgs({ options: { target: { type: 'string' } } });
const target = values.target ?? `${process.platform}-${process.arch}`;
const natives = targets[target];
if (!natives) fail(`unknown target ${target}; the targets are ${Object.keys(targets).join(', ')}`);
if (natives.decoder && !existsSync(`node_modules/@img/sharp-${natives.decoder}`)) {
  const [os, cpu] = natives.decoder.split('-');
  fail(`the native modules of ${target} are not installed: npm ci --ignore-scripts --os=${os} --cpu=${cpu}`);
}

const { name, version } = JSON.parse(await readFile('package.json', 'utf8'));
const vsix = `${name}-${target}-${version}.vsix`;
await run(process.execPath, ['esbuild.mjs', '--production']);
await writePackage(vsix);
await deflateHarder(vsix);
await checkSize(vsix);

/**
 * The allow-list of .vscodeignore, and after it the native modules of the target.
 *
 * @param {string} file
 */
async function writePackage(file) {
  const folder = await mkdtemp(join(tmpdir(), 'vitrine-package-'));
  try {
    const allowList = join(folder, 'vscodeignore');
    await copyFile('.vscodeignore', allowList);
    await appendFile(allowList, nativeRules().join('\n'));
    const flags = ['--no-rewrite-relative-links', '--allow-missing-repository'];
    const command = ['package', '--target', target, '--out', file, '--ignoreFile', allowList, ...flags];
    await capture(process.execPath, ['node_modules/@vscode/vsce/vsce', ...command]);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function nativeRules() {
  const { runtime, decoder } = natives ?? {};
  if (!runtime || !decoder) return ['node_modules/**'];
  return [
    `!node_modules/onnxruntime-node/bin/napi-v6/${runtime}/**`,
    `!node_modules/@img/sharp-${decoder}/**`,
    `!node_modules/@img/sharp-libvips-${decoder}/**`,
  ];
}

/** @param {string} file */
async function checkSize(file) {
  const megabytes = (await stat(file)).size / 1e6;
  console.log(`${file}: ${megabytes.toFixed(1)} MB`);
  const limit = /** @type {Record<string, number>} */ (limits)[target];
  if (limit && megabytes > limit) fail(`${file} is larger than ${limit} MB`);
}

/** @param {string} message @returns {never} */
function fail(message) {
  console.error(`error: ${message}`);
  process.exit(1);
}
