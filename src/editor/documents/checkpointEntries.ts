import { basename, dirname, posix, sep } from 'node:path';
import { checkpointExtensions } from '../../contributions';

/** A checkpoint as lists show it. */
export interface CheckpointEntry {
  /** What is opened: a file, an index.json, or a folder in hub layout. */
  readonly path: string;
  readonly label: string;
}

/** Files that may be checkpoints or tell something about the folder they lie in. */
export const searchedNames = `{*.${[...checkpointExtensions, 'bin', 'index.json'].join(',*.')},config.json}`;

/** Weights of the hub's own naming; beside a config.json they make a folder one model. */
const hubWeights =
  /^(open_clip_)?(pytorch_)?model(\.\w+)?(-\d+-of-\d+)?\.(safetensors|bin|onnx)(\.index\.json)?$/;
const shard = /-\d+-of-\d+\.\w+$/;
const plainFile = new RegExp(`\\.(${checkpointExtensions.join('|')}|index\\.json)$|^pytorch_model.*\\.bin$`);
/** `models--google--vit-base-patch16-224/snapshots/<commit>` in the hub's download cache. */
const cacheFolder = /models--([^/]+?)--([^/]+)\/snapshots\/[^/]+$/;

/**
 * Sorts files into checkpoints: a folder in hub layout is one entry under its own name, shards
 * stand behind their index, and `.bin` files count only if their name says that they hold a
 * model.
 */
export function checkpointEntries(files: readonly string[]): readonly CheckpointEntry[] {
  const folders = new Map<string, string[]>();
  for (const file of files) {
    const folder = dirname(file);
    folders.set(folder, [...(folders.get(folder) ?? []), file]);
  }
  const entries = [...folders].flatMap(([folder, inside]) => entriesOf(folder, inside));
  return entries.sort((a, b) => a.label.localeCompare(b.label) || a.path.localeCompare(b.path));
}

function entriesOf(folder: string, files: readonly string[]): CheckpointEntry[] {
  const names = files.map((file) => basename(file));
  const isHub = names.includes('config.json') && names.some((name) => hubWeights.test(name));
  const single = files.filter((file) => {
    const name = basename(file);
    return plainFile.test(name) && !shard.test(name) && !(isHub && hubWeights.test(name));
  });
  // Such names tell nothing: many runs have a `model.safetensors`.
  const alike = single.filter((path) => hubWeights.test(basename(path)));
  const entries = single.map((path) => ({
    path,
    label:
      alike.length > 1 && alike.includes(path)
        ? `${folderLabel(folder)}/${basename(path)}`
        : checkpointLabel(path),
  }));
  return isHub ? [{ path: folder, label: folderLabel(folder) }, ...entries] : entries;
}

function folderLabel(folder: string): string {
  const [, owner, name] = cacheFolder.exec(folder.split(sep).join(posix.sep)) ?? [];
  return owner && name ? `${owner}/${name}` : basename(folder);
}

/** Name of a checkpoint for titles and the status bar. */
export function checkpointLabel(path: string): string {
  const isWeights = hubWeights.test(basename(path));
  return isWeights ? folderLabel(dirname(path)) : folderLabel(path);
}
