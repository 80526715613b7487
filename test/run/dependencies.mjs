// The extension's own dependencies, installed from the lock file only where they differ from it.
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { run } from './processes.mjs';

/** Holds the hash of the lock file that node_modules was installed from. */
const stamp = 'node_modules/.vitrine-installed';

/**
 * The runtime's install script fetches CUDA libraries (250 MB) that nothing here needs, from a site
 * that may be out of reach.
 */
const environment = { ...process.env, ONNXRUNTIME_NODE_INSTALL: 'skip' };

/** Installs the locked dependencies unless node_modules already holds them. */
export async function installDependencies() {
  const wanted = await lockFileHash();
  if (existsSync(stamp) && (await readFile(stamp, 'utf8')) === wanted) return;
  console.log('Installing the locked dependencies (npm ci) …');
  await run('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], { env: environment });
  await writeFile(stamp, wanted);
}

/**
 * The platform belongs to it: a folder shared between two systems holds the native modules of one.
 */
async function lockFileHash() {
  const hash = createHash('sha256').update(await readFile('package-lock.json'));
  return hash.update(`${process.platform} ${process.arch}`).digest('hex');
}
