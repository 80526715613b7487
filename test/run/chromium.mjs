// A Chromium for the tests that drive a workbench.
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { capture, run } from './processes.mjs';

const names = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable', 'chrome', 'msedge'];

/** What headless Chromium needs to be quiet, and to start as root in a container. */
export const chromiumArguments = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** The four places, tried in this order; each gives the path of an executable or undefined. */
const sources = [findNamed, findOnPath, installWithApt, findPlaywrights];

/**
 * Finds a Chromium, installing one where that is possible.
 *
 * @returns {Promise<string>} path of the executable
 */
export async function provideChromium() {
  for (const source of sources) {
    const found = await source();
    if (found) return found;
  }
  throw new Error(
    'No Chromium found for the browser tests. Any of these helps: set VITRINE_CHROMIUM to the path of a Chromium or ' +
      'Chrome; put chromium or google-chrome on the PATH; run "npx playwright-core install chromium" where its download ' +
      'site can be reached; or, on Debian and as root, "apt-get update && apt-get install -y chromium".',
  );
}

function findNamed() {
  const named = process.env.VITRINE_CHROMIUM;
  if (named && !existsSync(named)) throw new Error(`VITRINE_CHROMIUM names ${named}, which does not exist`);
  return named || undefined;
}

function findOnPath() {
  const suffix = process.platform === 'win32' ? '.exe' : '';
  const folders = (process.env.PATH ?? '').split(delimiter);
  return names.flatMap((name) => folders.map((folder) => join(folder, name + suffix))).find(existsSync);
}

/** Playwright's own, from its cache, else downloaded. */
async function findPlaywrights() {
  const location = await playwrightLocation();
  if (existsSync(location)) return location;
  console.log("Downloading playwright's Chromium …");
  const download = ['node_modules/playwright-core/cli.js', 'install', 'chromium'];
  await capture(process.execPath, download).catch((error) =>
    console.log(String(error.message).split('\n')[0]),
  );
  return existsSync(location) ? location : undefined;
}

async function playwrightLocation() {
  const module = await import(pathToFileURL('node_modules/playwright-core/index.mjs').href);
  return module.chromium.executablePath();
}

/**
 * Before playwright's download, because Debian's package brings the libraries it needs and the
 * other does not.
 */
async function installWithApt() {
  if (!existsSync('/etc/debian_version') || process.getuid?.() !== 0) return undefined;
  if (existsSync(await playwrightLocation())) return undefined;
  console.log('Installing chromium with apt-get …');
  try {
    await capture('apt-get', ['update']);
    await run('apt-get', ['install', '-y', 'chromium'], {
      stdio: ['ignore', 'ignore', 'inherit'],
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    });
  } catch (error) {
    console.log(String(error).split('\n')[0]);
  }
  return findOnPath();
}
