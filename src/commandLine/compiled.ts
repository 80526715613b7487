import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createRequire, wrap } from 'node:module';
import { homedir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { Script } from 'node:vm';

/** What a CommonJS file is called with. */
type CommonJs = (
  exports: object,
  require: NodeJS.Require,
  module: { exports: object },
  file: string,
  folder: string,
) => void;

/** The user's folder for what can be made again. */
function cacheFolder({ env, platform }: NodeJS.Process = process): string {
  const home = homedir();
  const usual: Partial<Record<NodeJS.Platform, string>> = {
    win32: env['LOCALAPPDATA'] ?? join(home, 'AppData', 'Local'),
    darwin: join(home, 'Library', 'Caches'),
  };
  return join(env['XDG_CACHE_HOME'] ?? usual[platform] ?? join(home, '.cache'), 'vitrine');
}

/** The compiled code of other builds and Node versions begins with the same word. */
const prefix = 'commands-';

/**
 * Where the compiled code of a file is kept. V8 checks its own version and flags, and of the source
 * the length alone: place, size and time of the file are in the name.
 */
function cachedAt(file: string, folder: string): string {
  const { size, mtimeMs } = statSync(file);
  const key = createHash('sha256').update(
    JSON.stringify([file, size, mtimeMs, process.version, process.arch]),
  );
  return join(folder, `${prefix}${key.digest('hex').slice(0, 24)}.bin`);
}

function readIfThere(path: string): Buffer | undefined {
  try {
    return readFileSync(path);
  } catch {
    return undefined;
  }
}

/**
 * Keeps compiled code, and removes that of older builds. A folder that cannot be written costs the
 * next start a few milliseconds.
 */
function keep(path: string, code: Buffer): void {
  try {
    const folder = dirname(path);
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    for (const name of readdirSync(folder))
      if (name.startsWith(prefix) && name !== basename(path)) rmSync(join(folder, name), { force: true });
    const part = `${path}.${process.pid}`;
    writeFileSync(part, code, { mode: 0o600 });
    renameSync(part, path);
  } catch {
    // Read-only, full, or removed meanwhile.
  }
}

/**
 * Runs a CommonJS file as `require` does, compiled as it was when it ran before: parsing a megabyte
 * of source takes a fifth of the time that `vitrine inspect` needs. Code that V8 does not take
 * (another version, other flags, a damaged file) is compiled anew. The file must not `import()`:
 * the bundler writes `require` for it.
 */
export function runCompiled(file: string, folder = cacheFolder()): void {
  const path = cachedAt(file, folder);
  const cachedData = readIfThere(path);
  const script = new Script(wrap(readFileSync(file, 'utf8')), {
    filename: file,
    cachedData,
  });
  const run = script.runInThisContext() as CommonJs;
  const module = { exports: {} };
  run(module.exports, createRequire(file), module, file, dirname(file));
  // At the end the functions that were used are compiled, too.
  if (!cachedData || script.cachedDataRejected)
    process.once('exit', () => keep(path, script.createCachedData()));
}
