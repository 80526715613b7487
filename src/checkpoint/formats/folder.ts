import { readdir, readFile, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { attempt } from '../byteSource';
import { CheckpointError } from '../errors';
import { foreignFolder, isForeignPart } from './foreignNames';
import { isShardIndex } from './shards';

/**
 * Weight files by name, the preferred first: safetensors before .bin before the rest, an index
 * before a single file.
 */
const preferences: readonly RegExp[] = [
  /\.safetensors\.index(\.[\w-]+)?\.json$/i,
  /^(model|open_clip_model|open_clip_pytorch_model|pytorch_model)\.safetensors$/i,
  /\.safetensors$/i,
  /\.bin\.index(\.[\w-]+)?\.json$/i,
  /^(pytorch_model|open_clip_pytorch_model)\.bin$/i,
  /\.(bin|pth|pt|ckpt|pth\.tar|pkl)$/i,
  /\.npz$/i,
  /\.onnx$/i,
];

/**
 * What training scripts leave beside the weights: state of the optimizer and of random generators,
 * not models.
 */
const notWeights =
  /^(training_args|optimizer|scheduler|scaler|rng_state.*|random_states.*|adapter_.*|(bf16_)?zero_pp_rank_.*_optim_states)\.\w+$/i;

/** Folders inside of one that are looked into for weights, and those that a message names. */
const searchedFolders = 200;
const namedFolders = 8;

export interface FolderChoice {
  readonly chosen: string;
  /** Other weight files of the folder, without the shards of a chosen index. */
  readonly siblings: readonly string[];
}

/** Chooses a folder's weight file by name. Throws `CheckpointError` if it has none. */
export async function chooseInFolder(folder: string): Promise<FolderChoice> {
  const names = await attempt(folder, () => readdir(folder));
  const ranked = names
    .map((name) => ({ name, rank: rankOf(name) }))
    .filter(({ rank }) => rank >= 0)
    .sort((a, b) => a.rank - b.rank || (a.name < b.name ? -1 : 1));
  const [first, ...others] = ranked;
  const isPiece = first !== undefined && first.rank === preferences.length;
  if (first && !(isPiece && foreignFolder(names)))
    return { chosen: join(folder, first.name), siblings: others.map(({ name }) => join(folder, name)) };
  const snapshot = (await findSnapshot(folder, names)) ?? (await findLatest(folder, names));
  if (snapshot) return chooseInFolder(snapshot);
  const inner = await foldersWithWeights(folder, names);
  const what =
    foreignFolder(names) ??
    `this directory (folder) holds no weight file${inner.length > 0 ? ' itself' : ''}; .safetensors, .bin, .pth, .pt, .ckpt, .npz and .onnx can be opened`;
  const more = inner.length > namedFolders ? ` and ${inner.length - namedFolders} more` : '';
  const open =
    inner.length > 0 ? `. Open a folder in it: ${inner.slice(0, namedFolders).join(', ')}${more}` : '';
  throw new CheckpointError('unsupported', folder, what + open);
}

/** Folders in this one that hold weights: `checkpoint-500` of a Trainer, the latest first. */
async function foldersWithWeights(folder: string, names: readonly string[]): Promise<readonly string[]> {
  const newestFirst = names.toSorted((a, b) => b.localeCompare(a, 'en', { numeric: true }));
  const found: string[] = [];
  for (const name of newestFirst.slice(0, searchedFolders)) {
    const inner = await readdir(join(folder, name)).catch(() => []);
    if (inner.some((file) => isWeights(rankOf(file)) || file === '.metadata')) found.push(name);
  }
  return found;
}

const isWeights = (rank: number): boolean => rank >= 0 && rank < preferences.length;

/** Says which file is shown of a folder that holds several; the others are its siblings. */
export function severalNote(file: string, siblings: readonly string[]): readonly string[] {
  const others = siblings.filter((path) => isWeights(rankOf(basename(path))));
  if (others.length === 0) return [];
  return [`the folder holds ${others.length + 1} weight files, of which ${basename(file)} is shown`];
}

/** An index.json makes the files it names its parts. */
export function withoutShards(
  siblings: readonly string[],
  file: string,
  parts: ReadonlySet<string>,
): string[] {
  return isShardIndex(file) ? siblings.filter((sibling) => !parts.has(sibling)) : [...siblings];
}

function rankOf(name: string): number {
  if (isForeignPart(name)) return -1;
  if (notWeights.test(name)) return /\.json$/i.test(name) ? -1 : preferences.length;
  return preferences.findIndex((pattern) => pattern.test(name));
}

/** Bytes of the longest file name that systems have. */
const longestName = 1024;

/** The folder of the last step, which DeepSpeed names in a file `latest`. */
async function findLatest(folder: string, names: readonly string[]): Promise<string | undefined> {
  if (!names.includes('latest')) return undefined;
  const file = join(folder, 'latest');
  const { size } = await stat(file).catch(() => ({ size: Infinity }));
  const text = size > longestName ? '' : await readFile(file, 'utf8').catch(() => '');
  const step = names.find((name) => name !== 'latest' && name === text.trim());
  return step === undefined ? undefined : join(folder, step);
}

/**
 * A model's folder in the Hugging Face cache: `snapshots/<commit>`, where `refs/main` names the
 * commit.
 */
async function findSnapshot(folder: string, names: readonly string[]): Promise<string | undefined> {
  if (!names.includes('snapshots') || !names.includes('blobs')) return undefined;
  const snapshots = join(folder, 'snapshots');
  const commits = await attempt(snapshots, () => readdir(snapshots));
  const main = await readFile(join(folder, 'refs', 'main'), 'utf8').catch(() => '');
  const commit = commits.find((name) => name === main.trim()) ?? commits.sort().at(-1);
  return commit === undefined ? undefined : join(snapshots, commit);
}
