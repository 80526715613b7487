import type { TensorTable } from './format';
import { realpath, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { attempt, openFile, type Opener } from './byteSource';
import type { Checkpoint, OpenOptions, SidecarName, Sidecars } from './checkpoint';
import { readClassNames } from './classNames';
import { CheckpointError } from './errors';
import { chooseInFolder, severalNote, withoutShards } from './formats/folder';
import { readTable } from './formats';
import { JsonError, parseJsonObject } from './containers/json';
import { limits } from './limits';
import { isShardIndex, readShards } from './formats/shards';
import type { StateDict } from './tensors';
import { withTold } from './told';

/**
 * Opens a checkpoint: a file of any format, the index of a sharded one, or a folder with one. Only
 * headers are read. Throws `CheckpointError` with the file, the item in it, what was found and what
 * is allowed.
 */
export async function openCheckpoint(path: string, options: OpenOptions = {}): Promise<Checkpoint> {
  const isFolder = (await attempt(path, () => stat(path))).isDirectory();
  const { chosen: file, siblings } = isFolder ? await chooseInFolder(path) : { chosen: path, siblings: [] };
  const open = options.open ?? openFile;
  const table = await readFile(file, open);
  const stateDicts = await withTold(table.stateDicts, open);
  const { sidecars, beside, warnings } = await readSidecars(file, open);
  const named = await readClassNames(dirname(resolve(file)), open);
  const others = withoutShards(siblings, file, await namesOf(siblings, table.files));
  return {
    path,
    file,
    format: table.format,
    files: table.files,
    stateDicts,
    selected: selected(file, stateDicts, options.stateDict),
    extras: table.extras,
    metadata: table.metadata,
    warnings: [...table.warnings, ...warnings, ...severalNote(file, others)],
    sidecars,
    classNames: [...(table.classNames ?? []), ...named.classNames],
    beside: [...beside, ...named.paths],
    siblings: others,
    size: await totalSize(table),
    ...(table.onnx && { onnx: table.onnx }),
  };
}

async function readFile(file: string, open: Opener): Promise<TensorTable> {
  const source = await open(file);
  try {
    if (isShardIndex(file)) return await readShards(source, readTable);
    if (/\.json$/i.test(file))
      throw new CheckpointError(
        'unsupported',
        file,
        `${basename(file)} is a JSON file without weights; open the weights beside it or their folder`,
      );
    return await readTable(source);
  } finally {
    await source.close();
  }
}

/**
 * Returns the checkpoint with another of its state dicts chosen; the first one by default. Throws
 * `CheckpointError` if there is none of that name.
 */
export const selectStateDict = (checkpoint: Checkpoint, name?: string): Checkpoint => ({
  ...checkpoint,
  selected: selected(checkpoint.file, checkpoint.stateDicts, name),
});

function selected(file: string, stateDicts: readonly StateDict[], name: string | undefined): StateDict {
  const found = name === undefined ? stateDicts[0] : stateDicts.find((stateDict) => stateDict.name === name);
  if (found) return found;
  const known = stateDicts.map((stateDict) => stateDict.name || '(the file itself)').join(', ');
  throw new CheckpointError(
    'unsupported',
    file,
    `it has no state dict named ${JSON.stringify(name)}; there are: ${known}`,
  );
}

/** Files beside the weights that are read with them. */
export const sidecarNames = {
  config: 'config.json',
  preprocessor: 'preprocessor_config.json',
  openClip: 'open_clip_config.json',
} as const satisfies Record<SidecarName, string>;

/**
 * JSON beside the named path; if that is a link to weights elsewhere and nothing lies beside it,
 * beside the weights.
 */
async function readSidecars(
  file: string,
  open: Opener,
): Promise<{ sidecars: Sidecars; beside: readonly string[]; warnings: string[] }> {
  const real = await attempt(file, () => realpath(file));
  const folders = [...new Set([dirname(resolve(file)), dirname(real)])];
  const sidecars: { -readonly [Key in SidecarName]?: Sidecars[Key] } = {};
  const invalid: Partial<Record<SidecarName, string>> = {};
  const warnings: string[] = [];
  for (const key of Object.keys(sidecarNames) as SidecarName[]) {
    for (const folder of folders) {
      try {
        const found = await readSidecar(join(folder, sidecarNames[key]), open);
        if (found) sidecars[key] ??= found;
      } catch (error) {
        if (!(error instanceof CheckpointError)) throw error;
        invalid[key] ??= error.detail;
        warnings.push(`${sidecarNames[key]} ${error.detail}; it is ignored`);
      }
    }
  }
  const names = Object.values(sidecarNames);
  const beside = folders.flatMap((folder) => names.map((name) => join(folder, name)));
  const found = Object.keys(invalid).length > 0 ? { ...sidecars, invalid } : sidecars;
  return { sidecars: found, beside, warnings };
}

/**
 * A JSON object that lies beside weights; undefined if there is no such file. Throws
 * `CheckpointError` if it holds anything else.
 */
export async function readSidecar(
  path: string,
  open: Opener = openFile,
): Promise<Readonly<Record<string, unknown>> | undefined> {
  if (!(await exists(path))) return undefined;
  const source = await open(path);
  try {
    if (source.size > limits.sidecarBytes)
      throw new CheckpointError(
        'unsupported',
        path,
        `has ${source.size} bytes, at most ${limits.sidecarBytes} are allowed`,
      );
    const text = Buffer.from(await source.read(0, source.size)).toString('utf8');
    // Editors of Windows begin a text with a byte order mark.
    return parseJsonObject(text.replace(/^\ufeff/, ''));
  } catch (error) {
    if (error instanceof JsonError)
      throw new CheckpointError('malformed', path, error.message, { cause: error });
    throw error;
  } finally {
    await source.close();
  }
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

/** Which of the folder's files the table's files are, links resolved. */
async function namesOf(siblings: readonly string[], files: readonly string[]): Promise<Set<string>> {
  const parts = new Set(files);
  const real = await Promise.all(siblings.map((sibling) => realpath(sibling).catch(() => sibling)));
  return new Set(siblings.filter((_, index) => parts.has(real[index] ?? '')));
}

async function totalSize({ files }: TensorTable): Promise<number> {
  const sizes = await Promise.all(files.map((file) => attempt(file, async () => (await stat(file)).size)));
  return sizes.reduce((sum, size) => sum + size, 0);
}
