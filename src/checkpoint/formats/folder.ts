import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { attempt } from '../byteSource';
import { CheckpointError } from '../errors';
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
  /^(training_args|optimizer|scheduler|scaler|rng_state.*|random_states.*|adapter_.*)\.\w+$/i;

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
  if (first)
    return { chosen: join(folder, first.name), siblings: others.map(({ name }) => join(folder, name)) };
  const snapshot = await findSnapshot(folder, names);
  if (snapshot) return chooseInFolder(snapshot);
  throw new CheckpointError(
    'unsupported',
    folder,
    'this directory (folder) holds no weight file; .safetensors, .bin, .pth, .pt, .ckpt, .npz and .onnx can be opened',
  );
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
  if (notWeights.test(name)) return preferences.length;
  return preferences.findIndex((pattern) => pattern.test(name));
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
