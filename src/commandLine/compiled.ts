import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
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

/** What the bundler calls the files that the commands and the extension share. */
const sharedPart = /^shared-\w+\.js$/;

/** A program's file and the shared ones beside it. */
function filesOf(program: string): readonly string[] {
  const folder = dirname(program);
  const shared = readdirSync(folder).filter((name) => sharedPart.test(name));
  return [program, ...shared.sort().map((name) => join(folder, name))];
}

/**
 * Where the compiled code of files is kept. V8 checks its own version and flags, and of the source
 * the length alone: place, size and time of each file are in the name.
 */
function cachedAt(files: readonly string[], folder: string): string {
  const stated = files.map((file) => {
    const { size, mtimeMs } = statSync(file);
    return [file, size, mtimeMs];
  });
  const key = createHash('sha256').update(JSON.stringify([stated, process.version, process.arch]));
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

/** One script of CommonJS files: an object of functions under the names that they ask for. */
function joined(files: readonly string[]): string {
  const functions = files.map((file) => {
    const head = `"./${basename(file)}":function(exports,require,module,__filename,__dirname){`;
    return `${head}${readFileSync(file, 'utf8')}\n}`;
  });
  return `({${functions.join(',')}})`;
}

/** Calls files once each, as `require` does; what is none of them is Node's to find. */
function loaderOf(files: Readonly<Record<string, CommonJs>>, program: string): (id: string) => unknown {
  const modules = new Map<string, { exports: object }>();
  const outside = createRequire(program);
  const folder = dirname(program);
  const load = (id: string): unknown => {
    const run = Object.hasOwn(files, id) ? files[id] : undefined;
    if (!run) return outside(id);
    const known = modules.get(id);
    if (known) return known.exports;
    const module = { exports: {} };
    modules.set(id, module);
    run(module.exports, require, module, join(folder, id), folder);
    return module.exports;
  };
  const require = Object.assign(load, outside);
  return load;
}

/**
 * Runs a CommonJS file and the shared ones beside it as `require` does, compiled as they were when
 * they ran before: parsing a megabyte of source takes a fifth of the time that `vitrine inspect`
 * needs. Code that V8 does not take (another version, other flags, a damaged file) is compiled
 * anew. The files must not `import()`: the bundler writes `require` for it.
 */
export function runCompiled(file: string, folder = cacheFolder()): void {
  const files = filesOf(file);
  const path = cachedAt(files, folder);
  const cachedData = readIfThere(path);
  const script = new Script(joined(files), { filename: file, cachedData });
  const functions = script.runInThisContext() as Readonly<Record<string, CommonJs>>;
  loaderOf(functions, file)(`./${basename(file)}`);
  // At the end the functions that were used are compiled, too.
  if (!cachedData || script.cachedDataRejected)
    process.once('exit', () => keep(path, script.createCachedData()));
}
