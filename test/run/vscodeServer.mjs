// VS Code's server with its web workbench: for `npm start` without a desktop VS Code, and for the
// tests. It comes from npm (the package code-server carries it), so that a registry is the only
// site to reach.
import { randomBytes } from 'node:crypto';
import { copyFile, cp, mkdir, readFile, rename, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { provideFolder } from './cache.mjs';
import { capture, startService } from './processes.mjs';

const serverVersion = '4.139.1';
const nodeVersion = '24.21.0';
/** What the server asks for; an older system Node gets one from npm. */
const nodeMajor = 24;

/**
 * @typedef {object} ServerOptions
 * @property {string} dataFolder settings, state and logs of this server
 * @property {string} [extensionsFolder] installed extensions; a folder inside dataFolder where it
 * is not given
 * @property {string} [token] what the address must carry; none for tests on the loopback interface
 * @property {number} [port] 0 takes a free one
 * @property {boolean} [driven] lets a test drive the workbench and load a test suite into the
 * extension host
 * @property {boolean} [trusted] true: every workspace is trusted without asking (the default when
 * driven)
 * @property {Record<string, string | undefined>} [environment] seen by the server and its extension
 * hosts
 */

/**
 * @typedef {object} Server
 * @property {number} port
 * @property {(folder: string, payload?: readonly (readonly [string, string])[]) => string} address
 * of a folder opened in the workbench
 * @property {Promise<number | string>} ended
 * @property {() => Promise<void>} stop
 */

/** A token that cannot be guessed, for an address that is opened by a person. */
export const createToken = () => randomBytes(16).toString('hex');

/**
 * Starts a server and waits until it listens on the loopback interface.
 *
 * @param {ServerOptions} options
 * @returns {Promise<Server>}
 */
export async function startServer(options) {
  const { node, main } = await provideServer();
  await mkdir(options.dataFolder, { recursive: true });
  const service = await startService(
    node,
    [main, ...serverArguments(options)],
    /Server bound to [^:]+:(\d+)/,
    {
      env: { ...process.env, ...options.environment },
    },
  );
  const port = Number(service.match[1]);
  return {
    port,
    address: (folder, payload) => workbenchAddress(port, folder, payload, options.token),
    ended: service.ended,
    stop: service.stop,
  };
}

/**
 * Installs a packaged extension for the servers that use the same folders.
 *
 * @param {string} vsix
 * @param {ServerOptions} options
 */
export async function installExtension(vsix, options) {
  const { node, main } = await provideServer();
  await capture(node, [main, ...serverArguments(options), '--install-extension', vsix]);
}

/**
 * Makes a server that has not run yet take a built folder for an installed extension. Unlike an
 * extension under development, it needs no test driver, which would keep notifications from popping
 * up.
 *
 * @param {string} folder holds package.json and dist
 * @param {ServerOptions} options
 */
export async function linkExtension(folder, options) {
  const { publisher, name, version } = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'));
  const extensions = extensionsFolder(options);
  await mkdir(extensions, { recursive: true });
  await symlink(folder, join(extensions, `${publisher}.${name}-${version}`), 'junction');
}

/** @param {ServerOptions} options */
const extensionsFolder = (options) => options.extensionsFolder ?? join(options.dataFolder, 'extensions');

/** @param {ServerOptions} options */
function serverArguments(options) {
  return [
    ...['--host', '127.0.0.1', '--port', String(options.port ?? 0)],
    ...['--server-data-dir', options.dataFolder],
    ...['--extensions-dir', extensionsFolder(options)],
    ...['--accept-server-license-terms', '--telemetry-level', 'off', '--disable-telemetry'],
    ...(options.token ? ['--connection-token', options.token] : ['--without-connection-token']),
    ...(options.driven ? ['--enable-smoke-test-driver'] : []),
    ...((options.trusted ?? options.driven) ? ['--disable-workspace-trust'] : []),
  ];
}

/**
 * @param {number} port
 * @param {string} folder absolute path
 * @param {readonly (readonly [string, string])[]} [payload] development and test paths are given as
 * `[key, absolute path]`
 * @param {string} [token]
 */
function workbenchAddress(port, folder, payload = [], token) {
  const remote = payload.map(([key, path]) => [key, `vscode-remote://127.0.0.1:${port}${posixPath(path)}`]);
  const query = new URLSearchParams({ folder: posixPath(folder) });
  if (token) query.set('tkn', token);
  if (remote.length > 0) query.set('payload', JSON.stringify(remote));
  return `http://127.0.0.1:${port}/?${query}`;
}

/** `C:\a` is `/c:/a` in a URI. @param {string} path */
function posixPath(path) {
  const slashed = path.replaceAll('\\', '/');
  return slashed.startsWith('/') ? slashed : `/${slashed[0]?.toLowerCase()}${slashed.slice(1)}`;
}

/** The server's entry and a Node that is new enough to run it, downloaded on first use. */
export async function provideServer() {
  const [node, folder] = await Promise.all([
    provideNode(),
    provideFolder(`vscode-server-${serverVersion}`, installServer),
  ]);
  // Every time: a folder that was filled by an older version has none.
  await copyFile(plainLogger, join(folder, 'node_modules', '@vscode', 'spdlog', 'index.js'));
  return { node, main: join(folder, 'out', 'server-main.js') };
}

/** Writes what VS Code logs; its own logger is native and not compiled here. */
const plainLogger = 'test/run/plainLogger.cjs';

/** @param {string} folder */
async function installServer(folder) {
  console.log(`Downloading VS Code's server ${serverVersion} (600 MB on disk, once) …`);
  const unpacked = `${folder}.package`;
  try {
    await unpackFromNpm(`code-server@${serverVersion}`, unpacked);
    await rename(join(unpacked, 'package', 'lib', 'vscode'), folder).catch(() =>
      cp(join(unpacked, 'package', 'lib', 'vscode'), folder, { recursive: true }),
    );
  } finally {
    await rm(unpacked, { recursive: true, force: true });
  }
  // Native modules stay uncompiled: the server works without them.
  const install = [
    'install',
    '--omit=dev',
    '--ignore-scripts',
    '--no-audit',
    '--no-fund',
    '--loglevel=error',
  ];
  await capture('npm', install, { cwd: folder });
  await capture('npm', install, { cwd: join(folder, 'extensions') });
}

/** @returns {Promise<string>} path of a Node that runs the server */
async function provideNode() {
  if (Number(process.versions.node.split('.')[0]) >= nodeMajor) return process.execPath;
  const system = process.platform === 'win32' ? 'win' : process.platform;
  const name = `node-${system}-${process.arch}`;
  const folder = await provideFolder(`${name}-${nodeVersion}`, async (target) => {
    console.log(`Downloading Node ${nodeVersion} for the server (50 MB, once) …`);
    await unpackFromNpm(`${name}@${nodeVersion}`, target);
  });
  return join(folder, 'package', 'bin', system === 'win' ? 'node.exe' : 'node');
}

/** @param {string} spec name@version @param {string} folder gets the folder `package` */
async function unpackFromNpm(spec, folder) {
  await mkdir(folder, { recursive: true });
  const listed = await capture('npm', [
    'pack',
    spec,
    '--json',
    '--ignore-scripts',
    '--pack-destination',
    folder,
  ]);
  const archive = join(folder, packedName(listed));
  await capture('tar', ['-xzf', archive, '-C', folder]);
  await rm(archive);
}

/**
 * npm lists an array up to version 11 and an object by package name after it. @param {string}
 * listed
 */
function packedName(listed) {
  const [packed] = Object.values(JSON.parse(listed));
  return packed.filename;
}
