// npm start: installs, builds, classifies a sample image, and opens VS Code on the sample
// workspace.
import { existsSync } from 'node:fs';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join, resolve } from 'node:path';
import { installDependencies } from './dependencies.mjs';
import { capture, run } from './processes.mjs';
import { createToken, linkExtension, startServer } from './vscodeServer.mjs';

const sample = 'media/sample';
const checkpoint = `${sample}/vitrine-sample`;
const image = `${sample}/images/cat-on-grass.jpg`;
const windows = process.platform === 'win32';

await installDependencies();
console.log('Building …');
await run(process.execPath, ['esbuild.mjs']);
await classifyImage();
await openSample();
process.exit(0); // npm and code may hold handles that keep a finished run alive

async function classifyImage() {
  const answer = await capture(process.execPath, ['dist/cli.js', 'classify', checkpoint, image, '--json']);
  const { top, provider, milliseconds } = JSON.parse(answer);
  const [best] = top;
  const times = Object.entries(milliseconds).map(([step, value]) => `${step} ${Number(value).toFixed(0)} ms`);
  console.log(
    `\n${image}\n  is a ${best.label} (${(100 * best.probability).toFixed(1)} %), says ${checkpoint}`,
  );
  console.log(`  run by ${provider}: ${times.join(', ')}\n`);
}

/** Opens a copy, so that what is tried out there stays out of the repository. */
async function openSample() {
  const root = await mkdtemp(join(tmpdir(), 'vitrine-start-'));
  const workspace = join(root, 'sample');
  await cp(sample, workspace, { recursive: true });
  try {
    const code = findDesktop();
    await (code ? openDesktop(code, workspace, root) : openServer(workspace, root));
  } finally {
    await rm(root, { recursive: true, force: true, maxRetries: 5 });
  }
}

/**
 * The `code` command of a desktop VS Code. A machine without a screen has no use for it, and in a
 * remote terminal it is another program.
 */
function findDesktop() {
  const { DISPLAY, WAYLAND_DISPLAY, VSCODE_IPC_HOOK_CLI, PATH = '' } = process.env;
  if (VSCODE_IPC_HOOK_CLI) return undefined;
  if (process.platform === 'linux' && !DISPLAY && !WAYLAND_DISPLAY) return undefined;
  const name = windows ? 'code.cmd' : 'code';
  return PATH.split(delimiter)
    .map((folder) => join(folder, name))
    .find((path) => existsSync(path));
}

/** @param {string} code @param {string} workspace @param {string} root */
async function openDesktop(code, workspace, root) {
  console.log('Opening VS Code on the sample workspace. Close its window, or press Ctrl-C here, to end.');
  const options = [
    '--wait',
    '--new-window',
    '--disable-workspace-trust',
    '--user-data-dir',
    join(root, 'data'),
  ];
  const command = [...options, '--extensionDevelopmentPath', resolve('.'), workspace];
  const ended = run(code, command, { shell: windows });
  await Promise.race([ended, interrupted()]);
}

/** @param {string} workspace @param {string} root */
async function openServer(workspace, root) {
  const options = { dataFolder: join(root, 'server'), token: createToken(), trusted: true };
  await linkExtension(resolve('.'), options);
  const server = await startServer(options);
  console.log(`VS Code on the sample workspace, in a browser:\n\n  ${server.address(workspace)}\n`);
  console.log('Right-click an image under "images" and pick "Classify Image". Ctrl-C ends it.');
  await Promise.race([interrupted(), server.ended]);
  await server.stop();
  console.log('\nStopped.');
}

function interrupted() {
  return new Promise((done) =>
    ['SIGINT', 'SIGTERM', 'SIGHUP'].forEach((signal) => process.once(signal, done)),
  );
}
